#include "tool/story/story.hpp"

#include <gtest/gtest.h>

#include "tool/base/text.hpp"
#include "tool/story/sentence_table.hpp"

namespace hvp::tool {
namespace {

TEST(Story, NumbersAreGrouped) {
    EXPECT_EQ(grouped(1), "1");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(1204113), "1 204 113");
    EXPECT_EQ(size_text(100), "100 bytes");
    EXPECT_EQ(size_text(9216), "9 KB");
    EXPECT_EQ(columns("a · b"), 5U);
}

TEST(Story, StepsAreNumberedAndAsidesStandOnTheRight) {
    EXPECT_EQ(lay_out({{"driver", "begins"},
                       {"processor", "VM exit 12 HLT", "instruction 7"},
                       {"", "more about it"}},
                      {.width = 60, .colour = false}),
              "   0  driver     begins\n"
              "   1  processor  VM exit 12 HLT                instruction 7\n"
              "                 more about it\n");
}

TEST(Story, HasASectionsNumberInBothEditions) {
    EXPECT_EQ(lay_out({{"driver", "begins", "SDM 3C 24.2"}}, {.width = 60, .colour = false}),
              "   0  driver     begins             SDM 3C 24.2 (2022: 25.2)\n");
}

TEST(Story, WrapsOnANarrowTerminal) {
    const std::string story = lay_out(
        {{"lab", "a sentence that is longer than the terminal is wide", "instruction 1 204 113"}},
        {.width = 40, .colour = false});
    std::string_view rest = story;
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        EXPECT_LE(columns(rest.substr(0, end)), 40U) << rest;
        rest.remove_prefix(end + 1);
    }
    EXPECT_TRUE(story.contains("instruction 1 204 113\n"));
}

TEST(Story, HasColourOnlyWhereAsked) {
    EXPECT_FALSE(lay_out({{"lab", "x"}}, {.width = 80, .colour = false}).contains('\033'));
    EXPECT_TRUE(lay_out({{"lab", "x"}}, {.width = 80, .colour = true}).contains('\033'));
}

// A driver may print what a terminal would obey.
TEST(Story, EscapeSequencesAreShownAsText) {
    EXPECT_EQ(lay_out({{"driver", "prints: \x1b[2Jred\x07 \xc2\x9bm \xff\n", "\x1b"}},
                      {.width = 80, .colour = false}),
              "   0  driver     prints: \\x1b[2Jred\\x07 \\xc2\\x9bm \\xff\\x0a                  "
              "\\x1b\n");
}

// The examiner looks when the driver is gone.
TEST(Story, ADriverThatStaysIsNotCalledClean) {
    Timeline timeline{100};
    timeline.add({.t = 1, .from = "lab", .name = "NoDriverUnload", .fields = {{"load", 1}}});
    timeline.add({.t = 2,
                  .from = "lab",
                  .name = "Summary",
                  .fields = {{"result", "passed"}, {"leaked_bytes", 0}}});
    const auto steps = story_of(timeline, AddressNames{}, SentenceTable{});
    ASSERT_EQ(steps.size(), 2U);
    EXPECT_EQ(steps[1].text, "the driver stays loaded: control state and memory were not compared");
}

TEST(Story, EachProcessorHasItsOwnEntryInstruction) {
    Timeline timeline{100};
    const auto add = [&](unsigned cpu, const char* name) {
        timeline.add({.t = 1, .cpu = cpu, .from = "processor", .name = name});
    };
    add(0, "VmResume");
    add(1, "VmLaunch");
    add(0, "VmEntry");
    const auto steps = story_of(timeline, AddressNames{}, SentenceTable{});
    ASSERT_EQ(steps.size(), 1U);
    EXPECT_EQ(steps[0].text, "VMRESUME: VM entry");
}

TEST(Story, OneChangeOfAllProcessorsIsOneStep) {
    Timeline timeline{100};
    for (unsigned cpu = 0; cpu < 4; ++cpu) {
        timeline.add({.t = 1,
                      .cpu = cpu,
                      .from = "lab",
                      .name = "StateDifference",
                      .fields = {{"item", "CR4"}, {"before", "0x678"}, {"after", "0x2678"}}});
    }
    const auto steps = story_of(timeline, AddressNames{}, SentenceTable{});
    ASSERT_EQ(steps.size(), 1U);
    EXPECT_EQ(steps[0].text,
              "processors 0 to 3 were left changed: CR4 was 0x678, is 0x2678: VMXE is 1 now");
}

SentenceTable sentences() {
    return *SentenceTable::parse(
        "VmExit\n  driver saw exit {reason_number} {reason:exit} at {guest_rip:place}\n", "");
}

Timeline launch_timeline() {
    Timeline timeline{100};
    const auto add = [&](std::uint64_t t, const char* from, const char* name, Json fields) {
        timeline.add({.t = t, .cpu = 0, .from = from, .name = name, .fields = std::move(fields)});
    };
    add(1, "lab", "DriverEntry", {{"irql", "PASSIVE_LEVEL"}, {"load", 1}});
    add(2, "processor", "VmLaunch", {{"vmcs", "0x1000"}});
    add(2, "processor", "VmEntry", {{"mode", "x86-64 guest"}});
    add(1204131, "processor", "VmExit",
        {{"reason", "HLT"}, {"reason_number", 12}, {"qualification", "0x0"}});
    add(1204140, "driver", "Something", {{"unheard_of", 5}, {"more", "0x7"}});
    add(1204150, "lab", "DriverEntryReturned", {{"status", "0x00000000"}, {"load", 1}});
    return timeline;
}

Event claimed_exit(std::uint64_t t, unsigned reason, std::string name) {
    return {.t = t,
            .cpu = 0,
            .from = "driver",
            .name = "VmExit",
            .fields = {{"reason", std::move(name)},
                       {"reason_number", reason},
                       {"qualification", "0x0"},
                       {"guest_rip", "0x1234"},
                       {"handler", "on_hlt"}}};
}

Timeline exits_timeline(unsigned claimed_reason, std::string claimed_name) {
    Timeline timeline{10'000};
    const auto add = [&](std::uint64_t t, std::string name, Json fields) {
        timeline.add({.t = t,
                      .cpu = 0,
                      .from = "processor",
                      .name = std::move(name),
                      .fields = std::move(fields)});
    };
    add(100, "VmExit", {{"reason", "HLT"}, {"reason_number", 12}, {"qualification", "0x0"}});
    timeline.add(claimed_exit(110, claimed_reason, std::move(claimed_name)));
    add(190, "VmResume", {{"vmcs", "0x1000"}});
    add(190, "VmEntry", {{"mode", "x86-64 guest"}});
    return timeline;
}

TEST(Story, TellsAnExitOfWhichBothWitnessesSayTheSameInOneLine) {
    const AddressNames names;
    EXPECT_EQ(lay_out(story_of(exits_timeline(12, "HLT"), names, sentences()),
                      {.width = 80, .colour = false}),
              "   0  processor  exit 12 HLT at 0x1234: on_hlt                         +90 instr\n");
}

TEST(Story, TellsWhatEachSaysWhereTheyDiffer) {
    const AddressNames names;
    const auto steps = story_of(exits_timeline(10, "CPUID"), names, sentences());
    ASSERT_EQ(steps.size(), 3U);
    EXPECT_EQ(steps[0].text, "VM exit 12 HLT, qualification 0");
    EXPECT_EQ(steps[1].text, "saw exit 10 CPUID at 0x1234");
    EXPECT_EQ(steps[2].text, "VMRESUME: VM entry");
}

TEST(Story, TellsALaunch) {
    const AddressNames names;
    EXPECT_EQ(
        lay_out(story_of(launch_timeline(), names, sentences()), {.width = 80, .colour = false}),
        "   0  driver     DriverEntry on processor 0 at PASSIVE_LEVEL\n"
        "   1  processor  VMLAUNCH: VM entry                                instruction 2\n"
        "   2  processor  VM exit 12 HLT, qualification 0           instruction 1 204 131\n"
        "   3  driver     Something unheard_of 5, more 0x7\n"
        "   4  lab        DriverEntry returned STATUS_SUCCESS\n");
}

}  // namespace
}  // namespace hvp::tool
