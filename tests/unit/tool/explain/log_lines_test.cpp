// A dump says the same whatever logs and mailers did to it.
#include "tool/explain/dumps/log_lines.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <chrono>
#include <sstream>

#include "tests/repository/sources.hpp"
#include "tool/explain/dumps/vmcs_dump.hpp"
#include "tool/explain/explain.hpp"

namespace hvp::tool {
namespace {

using testing::ElementsAre;

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    for_each_log_line(text, [&](const LogLine& line) { lines.push_back(line.text); });
    return lines;
}

TEST(LogLines, LoseTheirStamps) {
    EXPECT_THAT(lines_of("[  100.000001] CR3 = 0x1"), ElementsAre("CR3 = 0x1"));
    EXPECT_THAT(lines_of("(XEN) [2026-01-02 10:20:30] CR3 = 0x1"), ElementsAre("CR3 = 0x1"));
    EXPECT_THAT(lines_of("Sep  8 22:52:20 host kernel: [10639.000001] CR3 = 0x1"),
                ElementsAre("CR3 = 0x1"));
    EXPECT_THAT(lines_of("I0210 10:20:30.286159   22261 2026/01/02 10:20:30 CR3 = 0x1"),
                ElementsAre("CR3 = 0x1"));
    EXPECT_THAT(lines_of("[12us][cpu=1][vm1:vcpu0][seq=41]:CR3 = 0x1"), ElementsAre("CR3 = 0x1"));
    EXPECT_THAT(lines_of(">>>> (XEN) CR3 = 0x1"), ElementsAre("CR3 = 0x1"));
    EXPECT_THAT(lines_of("\x1b[32m[  1.0] \x1b[0mCR3 = 0x1"), ElementsAre("CR3 = 0x1"));
    EXPECT_THAT(lines_of("(0x681e) = 0x10"), ElementsAre("(0x681e) = 0x10"));
    EXPECT_THAT(lines_of("4000 VMX_PIN_CONTROLS: 1f"), ElementsAre("4000 VMX_PIN_CONTROLS: 1f"));
}

TEST(LogLines, AreJoinedWhereAMailerBrokeThem) {
    const std::string wide = "(XEN) CR0: actual=0x0000000080000033, shadow=0x0000000080000033, ";
    EXPECT_THAT(lines_of(wide + "\ngh_mask=ffffffffffffffff\n"),
                ElementsAre("CR0: actual=0x0000000080000033, shadow=0x0000000080000033, "
                            "gh_mask=ffffffffffffffff"));
    // It would have fitted: nobody broke it.
    EXPECT_THAT(lines_of("GUEST_CR0 = 0x1\nGUEST_CR3 = 0x2\n"),
                ElementsAre("GUEST_CR0 = 0x1", "GUEST_CR3 = 0x2"));
}

TEST(LogLines, OfUtf16AreLinesToo) {
    using namespace std::string_view_literals;
    EXPECT_EQ(without_wide_characters("\xFF\xFE"
                                      "C\0R\0"sv),
              "CR");
    EXPECT_EQ(without_wide_characters("CR"), "CR");
}

// Breaks a line as a mailer does: at blanks, after at most `width` columns.
std::string broken_by_a_mailer(const std::string& text, std::size_t width,
                               const std::string& quote) {
    std::istringstream lines{text};
    std::string mail;
    for (std::string line; std::getline(lines, line);) {
        while (line.size() > width) {
            const std::size_t blank = line.find_last_of(' ', width);
            if (blank == std::string::npos || line.find_first_not_of(' ') > blank) {
                break;
            }
            mail += quote + line.substr(0, blank) + "\n";
            line.erase(0, blank + 1);
        }
        mail += quote + line + "\n";
    }
    return mail;
}

const std::vector<std::string>& real_dumps() {
    static const std::vector<std::string> all = [] {
        std::vector<std::string> texts;
        for (const char* name :
             {"01b-xen-v-key-unwrapped-entered-fine", "02b-xen-unwrapped-icebp-movss",
              "39-exit-0x30-in-dump", "58-kvm-effective-efer"}) {
            texts.push_back(
                repository::read_file("tests/cases/dumps/" + std::string{name} + ".txt"));
        }
        texts.push_back(repository::read_file("tests/unit/tool/explain/dumps/kvm-older.txt"));
        return texts;
    }();
    return all;
}

RC_GTEST_PROP(LogLines, MailersDoNotChangeTheValues, ()) {
    const std::string& text = *rc::gen::elementOf(real_dumps());
    const auto width = *rc::gen::inRange<std::size_t>(66, 82);
    const std::string quote = *rc::gen::element<std::string>("", "> ", ">>>> ");
    RC_ASSERT(read_dump(broken_by_a_mailer(text, width, quote)) == read_dump(text));
}

RC_GTEST_PROP(LogLines, PrefixesDoNotChangeTheValues, ()) {
    const std::string& text = *rc::gen::elementOf(real_dumps());
    const std::string prefix = *rc::gen::element<std::string>(
        "[  100.000001] ", "[  100.000001] kvm_intel: ", "(XEN) [2026-01-02 10:20:30] ",
        "Sep  8 22:52:20 host kernel: [10639.000001] ", "10:20:30.485406 ", "<6>[    5.000000] ",
        "> ", "I0210 10:20:30.286159   22261 2026/01/02 10:20:30 ");
    std::istringstream lines{text};
    std::string logged;
    for (std::string line; std::getline(lines, line);) {
        logged += prefix + line + "\n";
    }
    RC_ASSERT(read_dump(logged) == read_dump(text));
}

// Whatever the text: an answer, in time that grows with it, and no success for rubbish.
std::string repeated(std::string_view piece, std::size_t bytes) {
    std::string text;
    while (text.size() < bytes) {
        text += piece;
    }
    return text;
}

double seconds_for(const std::string& text) {
    static const ModelProcessor model = *ModelProcessor::of("corei7_skylake_x");
    const auto start = std::chrono::steady_clock::now();
    static_cast<void>(explain_dump(text, {}, model, 100));
    return std::chrono::duration<double>{std::chrono::steady_clock::now() - start}.count();
}

TEST(AnyText, TakesTimeInProportion) {
    for (const std::string_view piece :
         {"word ", "a=1 ", "a: ", "CR0=1 ", "cs={", "x_y 1\n", "[ 1.0] ", ">", "\n", "\x1b[",
          "GUEST_CR0 = 0x10\n", "*** Guest State ***\n", "CS: 0008 0a099 ffffffff 0\n",
          "::", "- "}) {
        SCOPED_TRACE(piece);
        constexpr std::size_t small = 25'000;
        constexpr std::size_t factor = 8;
        const double first = std::max(seconds_for(repeated(piece, small)), 0.002);
        const double second = seconds_for(repeated(piece, factor * small));
        // Quadratic time would be 64 times as long.
        EXPECT_LT(second, 4 * factor * first + 0.2);
    }
}

TEST(AnyText, OfFortyThousandWordsIsAnsweredAtOnce) {
    std::string line;
    for (int i = 0; i < 40'000; ++i) {
        line += "word" + std::to_string(i % 997) + (i % 3 == 0 ? "= " : " ");
    }
    constexpr double generous = 5;  // under sanitizers; without them a hundredth
    EXPECT_LT(seconds_for(line), generous);
}

RC_GTEST_PROP(AnyText, OfRandomBytesIsNoSuccess, ()) {
    static const ModelProcessor model = *ModelProcessor::of("corei7_skylake_x");
    const auto bytes = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
    const DumpReport report = explain_dump(bytes, {}, model, 100);
    RC_ASSERT(report.status != ExitStatus::passed);
    RC_ASSERT(!report.output.empty() || !report.complaint.empty());
}

// Lines of real dumps, any of them in any order, some cut: a status, and either an answer or a
// complaint.
RC_GTEST_PROP(AnyText, OfPiecesOfRealDumpsIsAnswered, ()) {
    static const ModelProcessor model = *ModelProcessor::of("corei7_skylake_x");
    static const std::vector<std::string> all_lines = [] {
        std::vector<std::string> lines;
        for (const auto& file : repository::files_below({"tests/cases/dumps"}, {".txt"})) {
            std::istringstream text{file.text};
            for (std::string line; std::getline(text, line);) {
                lines.push_back(line);
            }
        }
        return lines;
    }();
    const auto count = *rc::gen::inRange(0, 30);
    std::string text;
    for (int i = 0; i < count; ++i) {
        const std::string& line = all_lines[*rc::gen::inRange<std::size_t>(0, all_lines.size())];
        text += line.substr(0, *rc::gen::inRange<std::size_t>(0, 2 * line.size() + 1)) + "\n";
    }
    const DumpReport report = explain_dump(text, {}, model, 100);
    RC_ASSERT(report.output.empty() != report.complaint.empty());
    RC_ASSERT(report.complaint.empty() || report.status == ExitStatus::bad_usage);
    const VmcsImage image = read_dump(text);
    RC_ASSERT(read_dump(write_dump(image)) == image);
}

// Words that a log may have, with separators and numbers: short words are no controls and
// registers.
RC_GTEST_PROP(AnyText, OfCommonWordsIsNoSuccess, ()) {
    static const ModelProcessor model = *ModelProcessor::of("corei7_skylake_x");
    const auto words = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
        "cpu", "CPU", "exit", "entry", "VM", "vm exit", "pin", "error", "line", "pid", "=", ":",
        "->", "1", "33", "0x10", "\n", "primary", "proc", "id", "address", "state", "the", "info",
        "msr"));
    std::string text;
    for (const std::string& word : words) {
        text += word + " ";
    }
    RC_ASSERT(explain_dump(text, {}, model, 100).status != ExitStatus::passed);
}

// Nothing of a dump reaches the terminal as it is: an escape sequence could do anything there.
TEST(AnyText, CannotControlTheTerminal) {
    static const ModelProcessor model = *ModelProcessor::of("corei7_skylake_x");
    const std::string evil = "GUEST_RFLAGS = 0x0\nEVIL_\x1b]0;title\x07_\x1bM_NAME = 0x5\n";
    ExplainOptions options;
    for (const bool json : {false, true}) {
        options.json = json;
        const DumpReport report = explain_dump(evil, options, model, 100);
        EXPECT_EQ(report.output.find_first_of("\x1b\x07"), std::string::npos) << report.output;
        EXPECT_THAT(report.output, testing::HasSubstr(json ? "\\u001b" : "\\x1b"));
    }
    const DumpReport nothing = explain_dump("EVIL_\x1bM_NAME = 0x5\n", {}, model, 100);
    EXPECT_EQ(nothing.status, ExitStatus::bad_usage);
    EXPECT_THAT(nothing.complaint, testing::HasSubstr("\\x1b"));
}

}  // namespace
}  // namespace hvp::tool
