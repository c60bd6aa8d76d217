// Whatever a driver, the lab's kernel and the emulator have written: it becomes a verdict, a story
// and a summary, without an exception and without anything that a terminal would obey.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "tests/unit/tool/run/recorded.hpp"
#include "tool/base/repository.hpp"
#include "tool/explain/entry_failure.hpp"
#include "tool/story/sentence_table.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {
namespace {

const std::vector<Json> templates{
    {{"from", "lab"}, {"event", "LabStarted"}, {"memory_mib", 512}},
    {{"from", "lab"}, {"event", "DriverEntry"}, {"irql", "PASSIVE_LEVEL"}, {"load", 1}},
    {{"from", "lab"}, {"event", "DriverEntryReturned"}, {"status", "0xc0000001"}},
    {{"from", "lab"}, {"event", "NoDriverUnload"}, {"load", 1}},
    {{"from", "lab"}, {"event", "ImportsMissing"}, {"names", {"ntoskrnl.exe!A", "hal.dll!B"}}},
    {{"from", "lab"},
     {"event", "StateDifference"},
     {"item", "CR4"},
     {"before", "0x678"},
     {"after", "0x2678"}},
    {{"from", "lab"}, {"event", "Finding"}, {"rule", "x"}, {"detail", "words"}, {"caller", "0x1"}},
    {{"from", "lab"}, {"event", "Leak"}, {"kind", "pool"}, {"address", "0x1"}, {"bytes", 5}},
    {{"from", "lab"},
     {"event", "BugCheck"},
     {"code", "0x7e"},
     {"name", "N"},
     {"parameters", {"0x1", "0x2", "0x3", "0x4"}},
     {"meaning", {"one", "", "", ""}},
     {"stack", {"0x1", "0x2"}},
     {"functions", {"0x1", "0x0"}},
     {"rip", "0x1"}},
    {{"from", "lab"},
     {"event", "Summary"},
     {"result", "refused"},
     {"status", "0xc0000001"},
     {"peak_bytes", 1},
     {"leaked_bytes", 0}},
    {{"from", "driver"}, {"event", "DebugPrint"}, {"text", "VmExit reason=\"HLT\" sequence=3\n"}},
    {{"from", "driver"}, {"event", "VmEntry"}, {"at", "0x10"}},
    {{"from", "driver"},
     {"event", "VmExit"},
     {"reason", "CPUID"},
     {"reason_number", 10},
     {"qualification", "0x0"},
     {"guest_rip", "0xfffff80000001000"},
     {"detail", "0x1"},
     {"handler", "on_cpuid"},
     {"injected", "0x80000306"},
     {"sequence", 1}},
    {{"from", "driver"}, {"event", "EventsDropped"}, {"count", 2}},
    {{"from", "driver"}, {"event", "EntryFailure"}, {"reason", "x"}, {"reason_number", 33}},
    {{"from", "driver"}, {"event", "VmcsFields"}, {"fields", {"0x4400", "0x7", "0x4822", "0x1"}}},
    {{"from", "driver"},
     {"event", "VmxInstructionFailed"},
     {"instruction", "VMLAUNCH"},
     {"result", "VMfailValid"},
     {"error_number", 7},
     {"error", "words"}},
    {{"from", "driver"}, {"event", "GuestEnded"}, {"why", "triple fault"}, {"reason", "x"}},
    {{"from", "driver"},
     {"event", "Failure"},
     {"step", "the guest"},
     {"number", "0x2"},
     {"rule", "SDM"},
     {"remedy", "none"}},
};

const std::vector<std::string> log_templates{
    "00000000000i[      ] Bochs x86 Emulator 2.7",
    "00000000100d[CPU0  ] VMLAUNCH VMCS ptr: 0x000000001fffe000",
    "00000000100d[CPU0  ] VMENTER to x86-64 guest",
    "00000000150d[CPU0  ] VMEXIT reason = 10 (CPUID) qualification=0x0",
    "00000000170d[CPU0  ] VMRESUME VMCS ptr: 0x000000001fffe000",
    "00000000170d[CPU0  ] VMFAIL: VMRESUME with non-launched VMCS!",
    "00000000180d[CPU1  ] VMEXIT reason = 33 (VM-entry failure) qualification=0x3",
    "00000000190p[CPU0  ] >>PANIC<< exception(): 3rd (13) exception with no resolution",
};

std::string any_bytes() {
    return *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
}

Json any_value() {
    switch (*rc::gen::inRange(0, 9)) {
        case 0:
            return *rc::gen::arbitrary<std::uint64_t>();
        case 1:
            return *rc::gen::arbitrary<std::int64_t>();
        case 2:
            return 1e300;
        case 3:
            return nullptr;
        case 4:
            return Json::array({*rc::gen::arbitrary<int>(), "\x1b[2J", nullptr});
        case 5:
            return Json{{"a", {1, 2}}};
        case 6:
            return "\x1b]0;title\x07\xc2\x9b red \xff";
        case 7:
            return "0x" + std::to_string(*rc::gen::arbitrary<std::uint64_t>());
        default:
            return true;
    }
}

std::string any_line() {
    Json line = {{"t", *rc::gen::inRange(0, 300)}, {"cpu", *rc::gen::inRange(0, 3)}};
    line.update(*rc::gen::elementOf(templates));
    for (auto& [key, value] : line.items()) {
        if (*rc::gen::inRange(0, 6) == 0) {
            value = any_value();
        }
    }
    std::string text = line.dump(-1, ' ', false, Json::error_handler_t::ignore);
    const int damage = *rc::gen::inRange(0, 20);
    if (damage == 0) {
        text.resize(*rc::gen::inRange(std::size_t{0}, text.size()));
    } else if (damage == 1) {
        text.insert(*rc::gen::inRange(std::size_t{0}, text.size()), any_bytes());
    }
    std::erase(text, '\n');
    return text;
}

std::string any_log_line() {
    std::string text = *rc::gen::elementOf(log_templates);
    if (*rc::gen::inRange(0, 10) == 0) {
        text.insert(*rc::gen::inRange(std::size_t{0}, text.size()), any_bytes());
    }
    return text;
}

void expect_no_control_characters(std::string_view text) {
    RC_ASSERT(std::ranges::none_of(text, [](char c) {
        return c != '\n' && (static_cast<unsigned char>(c) < 0x20 || c == 0x7F);
    }));
    RC_ASSERT(!text.contains("\xc2\x9b"));
    RC_ASSERT(Json::accept("\"" + Json(text).dump().substr(1)));  // throws if it is not UTF-8
}

const SentenceTable& sentences() {
    static const SentenceTable table = *SentenceTable::parse(
        "VmExit\n  driver saw exit {reason_number} {reason:exit} at {guest_rip:function}\n"
        "VmcsFields\n  driver {fields:pairs} fields\n"
        "GuestEnded when why = \"triple fault\"\n  driver {why}, {reason:groups} {why:bit 3}\n",
        "");
    return table;
}

RC_GTEST_PROP(AnyRecording, BecomesAVerdictAStoryAndASummary, ()) {
    std::vector<std::string> console;
    std::vector<std::string> log;
    for (int i = *rc::gen::inRange(1, 25); i > 0; --i) {
        console.push_back(any_line());
        log.push_back(any_log_line());
    }
    const Recorded run{console, log};
    const Timeline& timeline = run.recording().timeline();
    for (const lab::Ending ending :
         {lab::Ending::ended, lab::Ending::timeout, lab::Ending::halted}) {
        const Verdict verdict = run.verdict(ending);
        expect_no_control_characters(verdict.reason);
        expect_no_control_characters(verdict.rule);
        expect_no_control_characters(verdict.remedy);
    }
    static_cast<void>(addresses_to_explain(timeline, ""));
    expect_no_control_characters(
        lay_out(story_of(timeline, AddressNames{}, sentences()), {.width = 80, .colour = false}));
    RC_ASSERT(Json::accept(run.summary().dump(2, ' ', false, Json::error_handler_t::replace)));
    const std::string all_lines = timeline.json_lines();
    for (std::string_view lines = all_lines; !lines.empty();) {
        const std::size_t end = lines.find('\n');
        RC_ASSERT(Json::accept(lines.substr(0, end)));
        lines.remove_prefix(end + 1);
    }
    const Repository nowhere{.root = "/nonexistent", .build = {}};
    if (const auto failure = explain_entry_failure(timeline, nowhere, "", "corei7_skylake_x", 80)) {
        expect_no_control_characters(failure->text);
    }
}

}  // namespace
}  // namespace hvp::tool
