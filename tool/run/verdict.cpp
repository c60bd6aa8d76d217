#include "tool/run/verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <iterator>
#include <set>

#include "lab/machine/processor_log.hpp"
#include "tool/base/text.hpp"
#include "tool/record/exit_pairs.hpp"
#include "tool/record/lab_lines.hpp"
#include "tool/record/refused_entry.hpp"
#include "tool/record/state_changes.hpp"
#include "tool/run/verdict_sentences.hpp"
#include "tool/story/sentences.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {
namespace {

// Different ones that drivers report.
constexpr std::size_t most_places = 10'000;

// Most important first: what comes later is often a consequence.
constexpr auto complaint_kinds =
    std::to_array({"ImageRefused", "ImportsMissing", "Finding", "StateDifference", "Leak"});

// Fields that hold an address in the system's half of memory; which of them lie in an image, who
// looks them up will see.
void add_addresses(const Event& event, std::set<std::uint64_t>& addresses) {
    constexpr std::uint64_t first_of_system = 0xFFFF'8000'0000'0000;
    for (const auto& [key, value] : event.fields.items()) {
        const std::uint64_t number = value.is_string() ? number_of(value) : 0;
        if (number >= first_of_system) {
            addresses.insert(number);
        }
    }
}

// Where the processors are: the one in a driver is the one to look at.
std::string place_of(const RunFacts& facts) {
    const std::vector<std::uint64_t> places = instruction_pointers(facts.outcome.evidence);
    if (places.empty()) {
        return "";
    }
    const auto in_driver = std::ranges::find_if(
        places, [&](std::uint64_t rip) { return facts.names.is_in_driver(rip); });
    return " at " + facts.names.in_full(in_driver == places.end() ? places.front() : *in_driver);
}

Verdict hung(const RunFacts& facts) {
    switch (facts.outcome.ending) {
        case lab::Ending::timeout:
            return verdict_of(
                facts.all_halted ? VerdictId::never_woken : VerdictId::still_executing,
                grouped(facts.timeout_ticks), place_of(facts));
        case lab::Ending::halted:
            return verdict_of(VerdictId::halted, place_of(facts));
        default:
            return verdict_of(VerdictId::unresponsive);
    }
}

// Which exit it was, where the driver's failure is no more than that there was one.
std::string which_exit(const RunFacts& facts, std::string_view event) {
    const Event* exit = facts.timeline.last("driver", event);
    if (exit == nullptr) {
        return "";
    }
    const std::string place =
        exit->fields.contains("guest_rip")
            ? " at " + facts.names.function_and_offset(exit->number("guest_rip"))
            : "";
    return fmt::format(" {} {}{}", exit->number("reason_number"), exit->text("reason"), place);
}

// Why the VMM left the guest.
std::string end_of_guest(const RunFacts& facts) {
    const Event* ended = facts.timeline.last("driver", "GuestEnded");
    if (ended == nullptr) {
        return "";
    }
    const std::string why = ended->text("why");
    const std::string reason = why.contains("this exit reason") || why.contains("of the exit")
                                   ? fmt::format(" ({})", ended->text("reason"))
                                   : "";
    return fmt::format(": {}{} at {}", why, reason,
                       facts.names.function_and_offset(ended->number("guest_rip")));
}

// A step that only says where it went wrong; the driver's other events say what happened.
std::string more_about(std::string_view step, const RunFacts& facts) {
    if (step == "VM exit") {
        return which_exit(facts, "VmExit");
    }
    if (step == "VM entry") {
        const std::string exit = which_exit(facts, "EntryFailure");
        return exit.empty() ? "" : " failed: exit" + exit;
    }
    return step == "the guest" ? end_of_guest(facts) : "";
}

// The driver's own last word about what went wrong.
Verdict with_failure_of_driver(Verdict verdict, const RunFacts& facts) {
    const Event* failure = facts.timeline.last("driver", "Failure");
    if (failure != nullptr) {
        verdict.reason += ": " + failure->text("step");
        verdict.reason += more_about(failure->text("step"), facts);
        verdict.rule = failure->text("rule");
        verdict.remedy = failure->text("remedy");
    }
    return verdict;
}

// Whether the system was called on a stack of the driver's own between a VM exit and the next
// entry.
bool calls_in_root(const Timeline& timeline) {
    const Event* last = nullptr;
    for (const Event& event : timeline.events()) {
        if (event.from == "processor" && (event.name == "VmEntry" || event.name == "VmExit")) {
            last = &event;
        } else if (event.is("lab", "Finding") && event.text("rule") == "UnknownStack" &&
                   last != nullptr && last->name == "VmExit" && last->cpu == event.cpu) {
            return true;
        }
    }
    return false;
}

Verdict failed(const RunFacts& facts) {
    std::vector<std::string> complaints;
    for (const std::string_view kind : complaint_kinds) {
        if (kind == "StateDifference") {
            for (const StateChange& change : state_changes(facts.timeline, kind)) {
                complaints.push_back(complaint(change));
            }
            continue;
        }
        for (const auto& [event, times] : facts.timeline.repeated("lab", kind)) {
            complaints.push_back(complaint(*event) +
                                 (times > 1 ? fmt::format(" (× {})", grouped(times)) : ""));
        }
    }
    if (complaints.empty()) {
        return with_failure_of_driver(verdict_of(VerdictId::driver_failed, facts.driver_file),
                                      facts);
    }
    const std::string first = facts.names.explain(complaints.front());
    Verdict verdict = complaints.size() == 1
                          ? verdict_of(VerdictId::complaint, first)
                          : verdict_of(VerdictId::complaint_and_more, first, complaints.size() - 1);
    if (calls_in_root(facts.timeline)) {
        verdict.remedy =
            "in VMX root operation nothing of the system may be called: write down what "
            "happened, and report it when the guest is over";
    }
    return verdict;
}

// Where the driver went wrong: the instruction, or the call into the kernel that ended there.
std::string place_of_bug_check(const RunFacts& facts, const Event& event) {
    const std::uint64_t rip = event.number("rip");
    const Json stack = event.array("stack");
    const bool trapped = !stack.empty() && number_of(stack.front()) == rip;
    if (!trapped || !facts.names.is_in_driver(rip)) {
        for (const Json& entry : stack) {
            if (facts.names.is_in_driver(number_of(entry))) {
                return "; called from " + facts.names.caller_in_full(number_of(entry));
            }
        }
    }
    return event.fields.contains("rip") ? "; at " + facts.names.in_full(rip) : "";
}

Verdict bug_check(const RunFacts& facts) {
    const Event* event = facts.timeline.last("lab", "BugCheck");
    if (event == nullptr) {
        return verdict_of(VerdictId::silent_bug_check);
    }
    return verdict_of(VerdictId::bug_check, facts.names.explain(complaint(*event)),
                      place_of_bug_check(facts, *event));
}

// Whether a VM entry was tried. Without a processor's log the driver's own word counts.
bool has_tried_to_enter(const Timeline& timeline) {
    const auto is_entry = [](const Event& event) {
        if (event.from == "processor") {
            // Without a current VMCS the emulator logs the refusal alone.
            return event.name == "VmLaunch" || event.name == "VmResume" ||
                   (event.name == "VmFail" && event.text("text").contains("VMLAUNCH"));
        }
        return event.is("driver", "VmExit") || event.is("driver", "EntryFailure") ||
               (event.is("driver", "VmxInstructionFailed") && is_vm_entry(event));
    };
    return std::ranges::any_of(timeline.events(), is_entry);
}

// The lab found all as before, but DriverEntry returned a failure: before any VM entry that is a
// refusal, later the guest or the VMM failed.
Verdict failed_or_refused(const RunFacts& facts, const Event& summary) {
    const std::string status = status_name(summary.text("status"));
    if (const auto refused = refused_entry(facts.timeline)) {
        Verdict verdict = verdict_of(VerdictId::entry_refused, refused->instruction, refused->why);
        verdict.rule = refused->rule;
        verdict.remedy = refused->remedy;
        return verdict;
    }
    if (!facts.witnesses.disagreement.empty()) {
        return verdict_of(VerdictId::witnesses_disagree, facts.witnesses.disagreement);
    }
    const bool has_run = has_tried_to_enter(facts.timeline);
    return with_failure_of_driver(has_run
                                      ? verdict_of(VerdictId::failed_after_entry, status)
                                      : verdict_of(VerdictId::refused, facts.driver_file, status),
                                  facts);
}

Verdict judge_complete(const RunFacts& facts, const Event& summary) {
    const std::string result = summary.text("result");
    // A line of the lab that cannot be read may have been a finding of its own.
    const bool is_unreadable = std::ranges::any_of(
        facts.timeline.all("lab", "Finding"),
        [](const Event* finding) { return finding->text("rule") == unreadable_line_rule; });
    if (result == "bugcheck") {
        return bug_check(facts);
    }
    if (is_unreadable || (result != "passed" && result != "refused")) {
        return failed(facts);
    }
    if (result == "refused") {
        return failed_or_refused(facts, summary);
    }
    return facts.witnesses.disagreement.empty()
               ? verdict_of(VerdictId::passed)
               : verdict_of(VerdictId::witnesses_disagree, facts.witnesses.disagreement);
}

Verdict judge_incomplete(const RunFacts& facts) {
    if (const Event* fault = facts.timeline.last("processor", "TripleFault")) {
        return verdict_of(VerdictId::triple_fault, fault->cpu, grouped(fault->t));
    }
    if (facts.timeline.last("lab", "BugCheck") != nullptr) {
        return bug_check(facts);
    }
    // The lab ends the machine by the shutdown port, which the emulator calls a panic, too.
    if (!facts.panic.empty() && !facts.panic.starts_with("Shutdown port")) {
        return verdict_of(VerdictId::emulator_gave_up, facts.panic);
    }
    return verdict_of(VerdictId::emulator_ended);
}

Verdict judged(const RunFacts& facts) {
    switch (facts.outcome.ending) {
        case lab::Ending::interrupted:
            return verdict_of(VerdictId::interrupted);
        case lab::Ending::timeout:
        case lab::Ending::halted:
        case lab::Ending::unresponsive:
            return hung(facts);
        case lab::Ending::stopped:
        case lab::Ending::ended:
            break;
    }
    if (!facts.emulator.empty() && facts.emulator != lab::known_emulator) {
        return verdict_of(VerdictId::unknown_emulator, facts.emulator, lab::known_emulator);
    }
    // Bochs 2.7 sometimes crashes while it exits, after everything has been reported.
    const Event* summary = facts.timeline.last("lab", "Summary");
    if (facts.outcome.killed_by && summary == nullptr) {
        return verdict_of(VerdictId::killed, *facts.outcome.killed_by,
                          strsignal(*facts.outcome.killed_by));
    }
    return summary != nullptr ? judge_complete(facts, *summary) : judge_incomplete(facts);
}

}  // namespace

std::string result_name(Result result) {
    switch (result) {
        case Result::passed:
            return "passed";
        case Result::refused:
            return "refused";
        case Result::failed:
            return "failed";
        case Result::bugcheck:
            return "bugcheck";
        case Result::hung:
            return "hung";
    }
    return {};
}

std::string result_words(Result result) {
    return result == Result::bugcheck ? "bug check" : result_name(result);
}

bool is_complete(const lab::EmulatorOutcome& outcome, const Timeline& timeline) {
    return outcome.ending == lab::Ending::ended && timeline.last("lab", "Summary") != nullptr;
}

std::vector<std::uint64_t> addresses_to_explain(const Timeline& timeline,
                                                std::string_view evidence) {
    std::vector<std::uint64_t> addresses;
    std::set<std::uint64_t> places;
    for (const Event& event : timeline.events()) {
        if (event.from == "driver" && places.size() < most_places) {
            add_addresses(event, places);
        }
        if (event.from != "lab" ||
            (event.name != "BugCheck" && event.name != "Leak" && event.name != "Finding")) {
            continue;
        }
        for (const std::string_view field : address_fields) {
            if (event.fields.contains(field)) {
                addresses.push_back(event.number(field));
            }
        }
        for (const Json& entry : event.array("stack")) {
            addresses.push_back(number_of(entry));
        }
    }
    std::ranges::copy(instruction_pointers(evidence), std::back_inserter(addresses));
    std::ranges::copy(places, std::back_inserter(addresses));
    return addresses;
}

std::vector<std::uint64_t> instruction_pointers(std::string_view evidence) {
    // rip: fffff800_00001234
    constexpr std::string_view mark = "rip: ";
    constexpr std::size_t digits_with_underscore = 17;
    std::vector<std::uint64_t> values;
    while (true) {
        const std::size_t found = evidence.find(mark);
        if (found == std::string_view::npos) {
            return values;
        }
        evidence.remove_prefix(found + mark.size());
        std::string digits{evidence.substr(0, digits_with_underscore)};
        std::erase(digits, '_');
        std::uint64_t value = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (error == std::errc{}) {
            values.push_back(value);
        }
    }
}

Verdict judge(const RunFacts& facts) {
    Verdict verdict = judged(facts);
    for (std::string* text : {&verdict.reason, &verdict.rule, &verdict.remedy}) {
        *text = printable(*text);  // a driver may have chosen the words
    }
    return verdict;
}

}  // namespace hvp::tool
