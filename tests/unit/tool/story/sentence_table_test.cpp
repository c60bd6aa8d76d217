// How a sentences.txt is read, and what it makes of an event.
#include "tool/story/sentence_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

SentenceTable parsed(std::string_view text) {
    const auto table = SentenceTable::parse(text, "sentences.txt");
    EXPECT_TRUE(table) << table.error();
    return table ? *table : SentenceTable{};
}

std::string error_of(std::string_view text) {
    const auto table = SentenceTable::parse(text, "a/sentences.txt");
    return table ? "" : table.error();
}

Event event(std::string name, Json fields) {
    return {
        .t = 1, .cpu = 0, .from = "driver", .name = std::move(name), .fields = std::move(fields)};
}

/// The steps as `who|text|aside`, or what is not told.
std::vector<std::string> told(std::string_view text, const Event& event) {
    AddressNames names;
    names.add({.name = "a.sys", .base = 0x1000, .bytes = 0x1000, .file = {}});
    const auto steps = parsed(text).steps_of(event, names);
    if (!steps) {
        return {"no sentence"};
    }
    std::vector<std::string> lines;
    for (const StoryStep& step : *steps) {
        lines.push_back(step.witness + "|" + step.text + "|" + step.aside);
    }
    return lines;
}

TEST(SentenceTable, AnEventBecomesStepsWithAsides) {
    EXPECT_THAT(
        told("# a comment\n"
             "\n"
             "Made\n"
             "  driver {what} is\n"
             "    made of {parts}\n"
             "  aside SDM {what}\n"
             "  more and of air\n"
             "  guest sees {what}\n",
             event("Made", {{"what", "it"}, {"parts", 3}})),
        testing::ElementsAre("driver|it is made of 3|SDM it", "|and of air|", "guest|sees it|"));
}

TEST(SentenceTable, AFormatSaysHowAFieldIsShown) {
    const Event made = event("Made", {{"bytes", 2097152},
                                      {"at", "0x1234"},
                                      {"msr", 526},
                                      {"flags", "0x10046"},
                                      {"vector", 6},
                                      {"other_vector", 9},
                                      {"zero", "0x0"},
                                      {"list", {1, 2, 3, 4}}});
    EXPECT_THAT(
        told("Made\n"
             "  driver {bytes:groups} {at:place} {at:line} {at:function} {msr:hex} {flags:bit 16}\n"
             "    {flags:bit 0} {vector:exception} {other_vector:exception} {zero} {list:pairs}\n",
             made),
        testing::ElementsAre("driver|2 097 152 a.sys+0x234 a.sys+0x234 a.sys+0x234 0x20e 1 0 #UD "
                             "exception 9 0 2|"));
}

TEST(SentenceTable, AnExitIsShownInWords) {
    const std::string_view sentence =
        "VmExit\n  driver saw {reason:exit}\n"
        "hypercall 0x48565002 stop\n";
    const auto exit = [](unsigned reason, const char* name, const char* detail) {
        return event("VmExit", {{"reason", name},
                                {"reason_number", reason},
                                {"qualification", "0x0"},
                                {"detail", detail}});
    };
    EXPECT_THAT(told(sentence, exit(10, "CPUID", "0x1")),
                testing::ElementsAre("driver|saw CPUID (leaf 0x1)|"));
    EXPECT_THAT(told(sentence, exit(18, "VMCALL", "0x48565002")),
                testing::ElementsAre("driver|saw VMCALL (stop)|"));
    EXPECT_THAT(told(sentence, exit(18, "VMCALL", "0x48565003")),
                testing::ElementsAre("driver|saw VMCALL (call 0x48565003)|"));
}

TEST(SentenceTable, TheFirstSentenceWhoseConditionHoldsCounts) {
    const std::string_view text =
        "Answer when got = wanted\n"
        "  guest right\n"
        "Answer when got = 7 or 0x8 or\n"
        "    \"nine\"\n"
        "  guest nearly\n"
        "Answer when got != \"\"\n"
        "  guest {got = 1 ? one : not one}\n"
        "Answer\n"
        "  silent\n";
    const auto answer = [](Json got, Json wanted) {
        return event("Answer", {{"got", std::move(got)}, {"wanted", std::move(wanted)}});
    };
    EXPECT_THAT(told(text, answer("0x5", "0x5")), testing::ElementsAre("guest|right|"));
    EXPECT_THAT(told(text, answer("0x7", 1)), testing::ElementsAre("guest|nearly|"));
    EXPECT_THAT(told(text, answer(8, 1)), testing::ElementsAre("guest|nearly|"));
    EXPECT_THAT(told(text, answer("nine", 1)), testing::ElementsAre("guest|nearly|"));
    EXPECT_THAT(told(text, answer(1, 0)), testing::ElementsAre("guest|one|"));
    EXPECT_THAT(told(text, answer(2, 0)), testing::ElementsAre("guest|not one|"));
    EXPECT_THAT(told(text, answer("", 0)), testing::IsEmpty());
}

TEST(SentenceTable, AnEventWithoutTheFieldsHasNoSentence) {
    const std::string_view text = "Made when a = 1\n  driver {b}: {c = 1 ? one : other}\n";
    EXPECT_THAT(told(text, event("Made", {{"a", 1}, {"b", 2}, {"c", 3}})),
                testing::ElementsAre("driver|2: other|"));
    for (const char* missing : {"a", "b", "c"}) {
        Event made = event("Made", {{"a", 1}, {"b", 2}, {"c", 3}});
        made.fields.erase(missing);
        EXPECT_THAT(told(text, made), testing::ElementsAre("no sentence")) << missing;
    }
    EXPECT_THAT(told(text, event("Lost", {{"a", 1}})), testing::ElementsAre("no sentence"));
}

TEST(SentenceTable, WhatIsAppendedIsTriedAfterwards) {
    SentenceTable own = parsed("A\n  driver own\nhypercall 1 one\n");
    const SentenceTable shared =
        parsed("A\n  driver shared\nB\n  driver shared\nhypercall 1 uno\nhypercall 2 due\n");
    own.append_sentences(shared);
    own.append_hypercalls(shared);
    const AddressNames names;
    EXPECT_EQ(own.steps_of(event("A", Json::object()), names)->front().text, "own");
    EXPECT_EQ(own.steps_of(event("B", Json::object()), names)->front().text, "shared");
    EXPECT_THAT(own.hypercalls(), testing::ElementsAre(std::pair{1, "one"}, std::pair{2, "due"}));
}

struct Malformed {
    const char* text;
    const char* error;
};

class MalformedSentences : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedSentences, AreNamedWithFileAndLine) {
    EXPECT_EQ(error_of(GetParam().text), std::string{"a/sentences.txt:"} + GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    , MalformedSentences,
    testing::Values(
        Malformed{"made\n  driver x\n", "1: 'made' is no name of an event"},
        Malformed{"# one\n\nMade\n", "3: Made has no sentence; 'silent' says that it needs none"},
        Malformed{"  driver x\n", "1: a line of a sentence belongs below the name of its event"},
        Malformed{"Made\n  lab x\n", "2: 'lab' is none of driver, guest, more, aside, silent"},
        Malformed{"Made\n  driver\n", "2: 'driver' says nothing"},
        Malformed{"Made\n  aside x\n", "2: 'aside' belongs to a line of driver or guest before it"},
        Malformed{"Made\n  silent\n  driver x\n", "3: an event that is silent has no other line"},
        Malformed{"Made\n driver x\n",
                  "2: lines below an event are indented by two spaces, and what continues one by "
                  "more"},
        Malformed{"Made\n  driver a\n    {b\n", "2: a brace has no partner"},
        Malformed{"Made\n  driver a}\n", "2: a brace has no partner"},
        Malformed{"Made\n  driver {}\n", "2: '' is no name of a field"},
        Malformed{"Made\n  driver {B}\n", "2: 'B' is no name of a field"},
        Malformed{"Made\n  driver {b:gruops}\n", "2: there is no format 'gruops'"},
        Malformed{"Made\n  driver {b:bit 64}\n", "2: 'bit 64' names no bit from 0 to 63"},
        Malformed{"Made\n  driver {b = 1 ? one}\n",
                  "2: a choice is '{condition ? words : other words}'"},
        Malformed{"Made\n  driver {b ? one : two}\n",
                  "2: a condition is 'field = value' or 'field != value'"},
        Malformed{"Made when b\n  silent\n",
                  "1: a condition is 'field = value' or 'field != value'"},
        Malformed{"Made if b = 1\n  silent\n",
                  "1: after the name of an event comes nothing, or 'when' and a condition"},
        Malformed{"Made when b = \"x\n  silent\n", "1: a quotation mark is missing"},
        Malformed{"Made when b = X\n  silent\n",
                  "1: a condition compares with a number, a field or a \"text\", not with 'X'"},
        Malformed{"Made when b = 1 and 2\n  silent\n",
                  "1: several values of a condition are joined by 'or'"},
        Malformed{"hypercall stop\n", "1: a call's line is 'hypercall NUMBER name'"},
        Malformed{"hypercall 1 a\nhypercall 0x1 b\n", "2: the call 0x1 has a name already"}));

}  // namespace
}  // namespace hvp::tool
