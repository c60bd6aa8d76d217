#include "tool/story/sentences.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "tool/record/words/exit_details.hpp"

namespace hvp::tool {
namespace {

using Steps = std::vector<StoryStep>;

std::string instruction(const Event& event) {
    return fmt::format("instruction {}", grouped(event.t));
}

std::string decimal_or_hexadecimal(const Event& event, std::string_view field) {
    const std::string text = event.text(field);
    return text == "0x0" ? "0" : text;
}

// `fields` as ` key value, key value`, for events that have no sentence of their own.
std::string all_fields(const Event& event) {
    std::string text;
    for (const auto& [key, value] : event.fields.items()) {
        text += fmt::format("{} {} {}", text.empty() ? "" : ",", key, event.text(key));
    }
    return text;
}

// The stack, innermost first: the instruction itself after a trap, the call that ended in the bug
// check otherwise. A function that calls itself without end would fill the screen.
void add_stack(const Sentences& sentences, const Event& event, Steps& steps) {
    const AddressNames& names = sentences.names();
    const Json stack = event.array("stack");
    const Json functions = event.array("functions");
    // Found by looking for addresses of code, a caller may be one of long ago.
    const std::string called_from =
        event.text("stack_found_by") == "scan" ? "perhaps called from " : "called from ";
    std::vector<std::string> callers;
    for (std::size_t i = 0; i < stack.size(); ++i) {
        const std::uint64_t address = number_of(stack[i]);
        const std::uint64_t start = i < functions.size() ? number_of(functions[i]) : 0;
        if (i == 0) {
            const bool trapped = address == event.number("rip");
            steps.push_back({"", "at " + (trapped ? names.in_full(address, start)
                                                  : names.caller_in_full(address, start))});
            continue;
        }
        callers.push_back(names.caller_in_full(address, start));
    }
    for (std::size_t i = 0; i < callers.size();) {
        std::size_t same = i;
        while (same < callers.size() && callers[same] == callers[i]) {
            ++same;
        }
        const std::string times = same - i > 1 ? fmt::format(" ({} times)", same - i) : "";
        steps.push_back({"", fmt::format("{}{}{}", called_from, callers[i], times)});
        i = same;
    }
}

Steps bug_check(const Sentences& sentences, const Event& event) {
    Steps steps{{"lab", sentences.names().explain(complaint(event)), instruction(event)}};
    const auto add = [&](std::string text) { steps.push_back({"", std::move(text)}); };
    const Json parameters = event.array("parameters");
    const Json meanings = event.array("meaning");
    for (std::size_t i = 0; i < std::min(parameters.size(), meanings.size()); ++i) {
        const std::string meaning = meanings[i].is_string() ? meanings[i].get<std::string>() : "";
        if (!meaning.empty()) {
            add(fmt::format("parameter {} = {:#x}: {}", i + 1, number_of(parameters[i]), meaning));
        }
    }
    add_stack(sentences, event, steps);
    return steps;
}

Steps leak(const Sentences& sentences, const Event& event) {
    Steps steps{{"lab", complaint(event)}};
    if (event.fields.contains("allocated_by")) {
        steps.push_back(
            {"", "allocated by " + sentences.names().caller_in_full(event.number("allocated_by"))});
    }
    return steps;
}

Steps finding(const Sentences& sentences, const Event& event) {
    Steps steps{{"lab", sentences.names().explain(complaint(event))}};
    for (const std::string_view field : address_fields) {
        if (event.fields.contains(field)) {
            steps.push_back(
                {"", fmt::format("{} {}", field, sentences.names().in_full(event.number(field)))});
        }
    }
    return steps;
}

Steps lab_summary(const Sentences& sentences, const Event& event) {
    if (event.text("result") != "passed" && event.text("result") != "refused") {
        return {};
    }
    if (sentences.stays_loaded()) {
        return {{"lab", "the driver stays loaded: control state and memory were not compared"}};
    }
    return {{"lab", fmt::format("control state as before; {} bytes leaked",
                                grouped(event.number("leaked_bytes")))}};
}

Steps lab_event(const Sentences& sentences, const Event& event) {
    const std::string& name = event.name;
    if (name == "DriverEntry") {
        return {{"driver",
                 fmt::format("DriverEntry on processor {} at {}", event.cpu, event.text("irql"))}};
    }
    if (name == "DriverEntryReturned") {
        return {{"lab", "DriverEntry returned " + status_name(event.text("status"))}};
    }
    if (name == "DriverUnloadReturned") {
        return {{"lab", "DriverUnload returned"}};
    }
    if (name == "NoDriverUnload") {
        return {{"lab", "no DriverUnload: the driver stays loaded, as on Windows"}};
    }
    if (name == "StateDifference" || name == "ExpectedChange") {
        const StateChange* change = sentences.change_of(event);
        return change == nullptr ? Steps{}
                                 : Steps{{.witness = "lab",
                                          .text = complaint(*change),
                                          .optional = name == "ExpectedChange"}};
    }
    if (name == "AllocationFailed") {
        return {{"lab", fmt::format("allocation {} fails on purpose ({})", event.number("number"),
                                    event.text("function"))}};
    }
    if (name == "BugCheck") {
        return bug_check(sentences, event);
    }
    if (name == "Leak") {
        return leak(sentences, event);
    }
    if (name == "Finding") {
        return finding(sentences, event);
    }
    if (name == "Summary") {
        return lab_summary(sentences, event);
    }
    const std::string text = complaint(event);
    return text.empty() ? Steps{} : Steps{{"lab", text}};
}

// One line for what both witnesses say, and what the VMM did: the exit, where the guest was, the
// handler, and how many instructions later the guest went on.
StoryStep exit_in_one_line(const Sentences& sentences, const PairedExit& exit) {
    const std::string injected = injected_event(*exit.driver);
    return {.witness = "processor",
            .text = fmt::format(
                "exit {} {} at {}: {}{}", exit.driver->text("reason_number"),
                exit_words(*exit.driver, sentences.table().hypercalls()),
                sentences.names().function_and_offset(exit.driver->number("guest_rip")),
                exit.driver->text("handler"), injected.empty() ? "" : " injects " + injected),
            .aside = exit.ticks ? fmt::format("+{} instr", grouped(*exit.ticks)) : ""};
}

Steps processor_event(const Sentences& sentences, const Event& event) {
    if (event.name == "VmEntry") {
        return {{"processor", fmt::format("{}: VM entry", sentences.entry_instruction(event.cpu)),
                 instruction(event)}};
    }
    if (event.name == "VmExit") {
        if (const PairedExit* paired = sentences.exits().of(event)) {
            return {exit_in_one_line(sentences, *paired)};
        }
        return {{"processor",
                 fmt::format("VM exit {} {}, qualification {}", event.number("reason_number"),
                             event.text("reason"), decimal_or_hexadecimal(event, "qualification")),
                 instruction(event)}};
    }
    if (event.name == "VmFail") {
        return {{"processor", event.text("text"), instruction(event)}};
    }
    if (event.name == "EntryFailure") {
        return {
            {"processor",
             fmt::format("{}: VM entry failed, exit {}: {}", sentences.entry_instruction(event.cpu),
                         event.number("reason_number"),
                         event.text("text").empty() ? event.text("reason") : event.text("text")),
             instruction(event)}};
    }
    if (event.name == "TripleFault") {
        return {{"processor", "triple fault: " + event.text("text"), instruction(event)}};
    }
    return {};
}

Steps driver_event(const Sentences& sentences, const Event& event) {
    if (event.name == "DebugPrint") {
        return {{.witness = "driver", .text = "prints: " + event.text("text"), .optional = true}};
    }
    auto steps = sentences.table().steps_of(event, sentences.names());
    return steps ? std::move(*steps) : Steps{{"driver", event.name + all_fields(event)}};
}

}  // namespace

Sentences::Sentences(const SentenceTable& table, const AddressNames& names, const ExitPairs& exits,
                     const Timeline& timeline)
    : table_{table}, names_{names}, exits_{exits} {
    for (const char* name : {"StateDifference", "ExpectedChange"}) {
        std::ranges::move(state_changes(timeline, name), std::back_inserter(changes_));
    }
}

const StateChange* Sentences::change_of(const Event& event) const {
    const auto found = std::ranges::find_if(
        changes_, [&](const StateChange& change) { return change.events.front() == &event; });
    return found == changes_.end() ? nullptr : &*found;
}

std::string complaint(const StateChange& change) {
    const std::string processors = change.processors();
    if (change.events.front()->name == "ExpectedChange") {
        return fmt::format("{}: {}, which cannot be undone", processors, change.change());
    }
    return fmt::format("{} {} left changed: {}", processors,
                       change.events.size() == 1 ? "was" : "were", change.change());
}

std::vector<StoryStep> Sentences::about(const Event& event) {
    if (event.name == "VmLaunch" || event.name == "VmResume") {
        entry_instructions_[event.cpu] = event.name == "VmLaunch" ? "VMLAUNCH" : "VMRESUME";
    }
    stays_loaded_ |= event.is("lab", "NoDriverUnload");
    if (exits_.contains(event)) {
        return {};
    }
    if (event.from == "processor") {
        return processor_event(*this, event);
    }
    return event.from == "lab" ? lab_event(*this, event) : driver_event(*this, event);
}

std::string in_short(const Event& event) {
    constexpr std::size_t longest = 160;
    std::string text =
        event.is("driver", "DebugPrint") ? " " + event.text("text") : all_fields(event);
    while (text.ends_with("\n")) {
        text.pop_back();
    }
    std::ranges::replace(text, '\n', ' ');
    if (text.size() > longest) {
        text = text.substr(0, longest) + " …";
    }
    return fmt::format("{} on processor {}: {}{}", event.from, event.cpu, event.name, text);
}

std::string complaint(const Event& event) {
    const std::string& name = event.name;
    if (name == "StateDifference" || name == "ExpectedChange") {
        return complaint(StateChange{{&event}});
    }
    if (name == "Leak") {
        const std::string tag = event.text("tag");
        return fmt::format("leaked {} bytes of {} memory at {}{}", grouped(event.number("bytes")),
                           event.text("kind"), event.text("address"),
                           tag.empty() ? "" : fmt::format(", tag '{}'", tag));
    }
    if (name == "Finding") {
        return event.text("detail");
    }
    if (name == "ImageRefused") {
        return "the driver cannot be loaded: " + event.text("why");
    }
    if (name == "ImportsMissing") {
        std::string names;
        for (const Json& import : event.array("names")) {
            names += (names.empty() ? "" : ", ") + text_of(import);
        }
        return "the lab has no " + names + ", which the driver imports";
    }
    if (name == "BugCheck") {
        const std::string detail = event.text("detail");
        return fmt::format("bug check {} {}{}", event.text("code"), event.text("name"),
                           detail.empty() ? "" : ": " + detail);
    }
    return {};
}

}  // namespace hvp::tool
