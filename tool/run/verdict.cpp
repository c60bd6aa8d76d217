#include "tool/run/verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <iterator>
#include <set>

#include "lab/machine/processor_log.hpp"
#include "tool/story/sentences.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {
namespace {

// Each is an argument of the symbolizer, twice.
constexpr std::size_t most_places_of_exits = 100;

// Most important first: what comes later is often a consequence.
constexpr auto complaint_kinds =
    std::to_array({"ImageRefused", "ImportsMissing", "Finding", "StateDifference", "Leak"});

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
            if (facts.all_halted) {
                return {Result::hung,
                        fmt::format("all processors are halted, and nothing has woken them to any "
                                    "purpose for {} ticks{}",
                                    grouped(facts.timeout_ticks), place_of(facts))};
            }
            return {Result::hung,
                    fmt::format("the machine still executes after {} instructions{}; if it needs "
                                "more, raise --timeout-ticks",
                                grouped(facts.timeout_ticks), place_of(facts))};
        case lab::Ending::halted:
            return {Result::hung, fmt::format("the processor is halted and nothing will wake it{}",
                                              place_of(facts))};
        default:
            return {Result::hung, "the emulator itself stopped answering and was ended"};
    }
}

// The driver's own last word about what went wrong.
Verdict with_failure_of_driver(Verdict verdict, const Timeline& timeline) {
    const Event* failure = timeline.last("driver", "Failure");
    if (failure != nullptr) {
        verdict.reason += ": " + failure->text("step");
        verdict.rule = failure->text("rule");
        verdict.remedy = failure->text("remedy");
    }
    return verdict;
}

Verdict failed(const RunFacts& facts) {
    Verdict verdict{Result::failed, {}};
    std::size_t more = 0;
    for (const std::string_view kind : complaint_kinds) {
        for (const Event* event : facts.timeline.all("lab", kind)) {
            if (verdict.reason.empty()) {
                verdict.reason = facts.names.explain(complaint(*event));
            } else {
                ++more;
            }
        }
    }
    if (more > 0) {
        verdict.reason += fmt::format(" (and {} more: story.txt)", more);
    }
    if (verdict.reason.empty()) {
        verdict.reason = facts.driver_file + " failed";
        return with_failure_of_driver(std::move(verdict), facts.timeline);
    }
    return verdict;
}

// Where the driver went wrong: the instruction, or the call into the kernel that ended there.
std::string place_of_bug_check(const RunFacts& facts, const Event& event) {
    const std::uint64_t rip = event.number("rip");
    const Json stack = event.fields.value("stack", Json::array());
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
        return {Result::bugcheck, "the lab's kernel stopped without saying why"};
    }
    return {Result::bugcheck,
            facts.names.explain(complaint(*event)) + place_of_bug_check(facts, *event)};
}

Verdict judge_complete(const RunFacts& facts, const Event& summary) {
    const std::string result = summary.text("result");
    if (result == "bugcheck") {
        return bug_check(facts);
    }
    if (result != "passed" && result != "refused") {
        return failed(facts);
    }
    if (!facts.witnesses.disagreement.empty()) {
        return {Result::failed, "witnesses disagree: " + facts.witnesses.disagreement};
    }
    if (result == "passed") {
        return {Result::passed, {}};
    }
    return with_failure_of_driver(
        {Result::refused, fmt::format("{} refused to start with {}", facts.driver_file,
                                      status_name(summary.text("status")))},
        facts.timeline);
}

Verdict judge_incomplete(const RunFacts& facts) {
    if (const Event* fault = facts.timeline.last("processor", "TripleFault")) {
        return {Result::bugcheck,
                fmt::format("triple fault on processor {} at instruction {}; the registers are in "
                            "bochs.log",
                            fault->cpu, grouped(fault->t))};
    }
    if (facts.timeline.last("lab", "BugCheck") != nullptr) {
        return bug_check(facts);
    }
    // The lab ends the machine by the shutdown port, which the emulator calls a panic, too.
    if (!facts.panic.empty() && !facts.panic.starts_with("Shutdown port")) {
        return {Result::failed, "the emulator gave up: " + facts.panic};
    }
    return {Result::failed,
            "the emulator ended before the lab did; console.log and bochs.log have its last lines"};
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

bool is_complete(const lab::EmulatorOutcome& outcome, const Timeline& timeline) {
    return outcome.ending == lab::Ending::ended && timeline.last("lab", "Summary") != nullptr;
}

std::vector<std::uint64_t> addresses_to_explain(const Timeline& timeline,
                                                std::string_view evidence) {
    std::vector<std::uint64_t> addresses;
    std::set<std::uint64_t> places_of_exits;
    for (const Event& event : timeline.events()) {
        if (event.is("driver", "VmExit") && event.fields.contains("handler") &&
            places_of_exits.size() < most_places_of_exits) {
            places_of_exits.insert(event.number("guest_rip"));
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
        for (const Json& entry : event.fields.value("stack", Json::array())) {
            addresses.push_back(number_of(entry));
        }
    }
    std::ranges::copy(places_of_exits, std::back_inserter(addresses));
    std::ranges::copy(instruction_pointers(evidence), std::back_inserter(addresses));
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
    switch (facts.outcome.ending) {
        case lab::Ending::interrupted:
            return {Result::failed, "interrupted"};
        case lab::Ending::timeout:
        case lab::Ending::halted:
        case lab::Ending::unresponsive:
            return hung(facts);
        case lab::Ending::stopped:
        case lab::Ending::ended:
            break;
    }
    if (!facts.emulator.empty() && facts.emulator != lab::known_emulator) {
        return {Result::failed,
                fmt::format("the emulator is {}, whose log we cannot read; install Debian 12's "
                            "{} (package bochs)",
                            facts.emulator, lab::known_emulator)};
    }
    // Bochs 2.7 sometimes crashes while it exits, after everything has been reported.
    const Event* summary = facts.timeline.last("lab", "Summary");
    if (facts.outcome.killed_by && summary == nullptr) {
        return {Result::failed,
                fmt::format("the emulator was ended from outside by signal {} ({}); run it again",
                            *facts.outcome.killed_by, strsignal(*facts.outcome.killed_by))};
    }
    return summary != nullptr ? judge_complete(facts, *summary) : judge_incomplete(facts);
}

}  // namespace hvp::tool
