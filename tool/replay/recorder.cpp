#include "tool/replay/recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "hypervisor/vmcs/names/field_names.hpp"

namespace hvp::tool {
namespace {

using lab::DebuggerStop;
using Moment = RecordedState::Moment;

// The words of a VMCS in which the fields lie, as the debugger's commands: less than half of it.
std::string show_fields(std::uint64_t vmcs) {
    std::set<std::uint64_t> words;
    for (const vmx::FieldFacts& field : vmx::field_facts) {
        if (const auto offset = lab::vmcs_offset(field.encoding)) {
            words.insert({*offset, *offset + sizeof(std::uint32_t)});
        }
    }
    std::string commands;
    for (auto word = words.begin(); word != words.end();) {
        const std::uint64_t first = *word;
        std::uint64_t count = 0;
        while (word != words.end() && *word == first + count * sizeof(std::uint32_t)) {
            ++count;
            ++word;
        }
        commands += fmt::format("xp /{}wx {:#x}\n", count, vmcs + first);
    }
    return commands;
}

std::string script_for(std::span<const RecordedState> moments) {
    std::string script = "vmexitbp\n";
    for (const RecordedState& moment : moments) {
        // A time breakpoint comes again after the time that it was set for: the next one, or one
        // that nobody reaches, takes its place.
        constexpr std::uint64_t never = 1ULL << 62;
        script += fmt::format("sba {}\n", moment.moment == Moment::exit ? never : moment.t);
        script += "c\nregs\n" + show_fields(moment.vmcs);
    }
    return script;
}

void read_stop(const DebuggerStop& stop, RecordedState& state) {
    const ReplayedVmcs vmcs{stop, state.vmcs};
    for (const vmx::FieldFacts& field : vmx::field_facts) {
        if (const auto value = vmcs.find(field.encoding)) {
            state.fields[field.encoding] = *value;
        }
    }
    for (const char* name : recorded_registers) {
        if (const auto value = stop.find(name)) {
            state.registers[name] = *value;
        }
    }
}

// Whether the replay is where the log says that the run was; at an exit with the same reason.
bool is_at(const DebuggerStop& stop, const RecordedState& state) {
    const bool by_exit = stop.why == "VMEXIT breakpoint";
    if (by_exit != (state.moment == Moment::exit)) {
        return false;
    }
    if (!by_exit) {
        return stop.tick == state.t;
    }
    const ReplayedVmcs vmcs{stop, state.vmcs};
    constexpr std::uint64_t basic_reason = 0xFFFF;
    // The instruction that left the guest may have counted.
    return (stop.tick == state.t || stop.tick == state.t + 1) &&
           (vmcs.read(vmx::exit_reason) & basic_reason) ==
               state.fields.at(vmx::exit_reason.encoding) &&
           vmcs.read(vmx::exit_qualification) == state.fields.at(vmx::exit_qualification.encoding);
}

}  // namespace

std::vector<RecordedState> moments_of(const Timeline& timeline) {
    std::vector<RecordedState> moments;
    std::uint64_t entries = 0;
    std::uint64_t exits = 0;
    std::uint64_t vmcs = 0;
    std::uint64_t tried_at = 0;
    for (const Event& event : timeline.events()) {
        if (event.from != "processor") {
            continue;
        }
        const auto add = [&](Moment moment, std::uint64_t number) {
            moments.push_back({.moment = moment,
                               .number = number,
                               .cpu = event.cpu,
                               .t = event.t,
                               .vmcs = vmcs,
                               .fields = {},
                               .registers = {}});
        };
        if (event.name == "VmLaunch" || event.name == "VmResume") {
            vmcs = event.number("vmcs");
            tried_at = event.t;
        } else if (event.name == "VmEntry") {
            add(Moment::entry, ++entries);
        } else if (event.name == "EntryFailure" ||
                   (event.name == "VmFail" && vmcs != 0 && event.t == tried_at)) {
            add(Moment::failed_entry, entries + 1);
        } else if (event.name == "VmExit") {
            add(Moment::exit, ++exits);
            moments.back().fields = {
                {vmx::exit_reason.encoding, event.number("reason_number")},
                {vmx::exit_qualification.encoding, event.number("qualification")}};
        }
    }
    return moments;
}

RecordedStates recorded_at(std::vector<RecordedState> moments,
                           std::span<const DebuggerStop> stops) {
    RecordedStates recorded{.states = std::move(moments), .left_out = 0, .complaint = {}};
    // The first stop is the machine's reset.
    for (std::size_t i = 0; i < recorded.states.size(); ++i) {
        if (i + 1 >= stops.size() || !is_at(stops[i + 1], recorded.states[i])) {
            recorded.complaint =
                fmt::format("the replay did not come to {} {}", word_of(recorded.states[i].moment),
                            recorded.states[i].number);
            recorded.left_out = recorded.states.size() - i;
            recorded.states.resize(i);
            break;
        }
        read_stop(stops[i + 1], recorded.states[i]);
    }
    return recorded;
}

RecordedStates record_states(const Timeline& timeline, const ReplayOfRun& replay) {
    std::vector<RecordedState> moments = moments_of(timeline);
    if (moments.empty()) {
        return {};
    }
    // Of a flood the timeline keeps the first ones, more than are recorded.
    std::uint64_t not_kept = 0;
    for (const char* name : {"VmEntry", "VmExit", "EntryFailure"}) {
        not_kept += timeline.count("processor", name) - timeline.all("processor", name).size();
    }
    const std::size_t too_many = moments.size() - std::min(moments.size(), most_states);
    moments.resize(moments.size() - too_many);
    const auto stops = replay(script_for(moments));
    RecordedStates recorded = recorded_at(std::move(moments), stops);
    recorded.left_out += too_many + not_kept;
    return recorded;
}

std::string words_of(const RecordedStates& recorded) {
    const std::size_t count = recorded.states.size();
    std::string text = fmt::format("recorded: {} VM {} in vmcs.jsonl", count,
                                   count == 1 ? "entry or exit" : "entries and exits");
    if (recorded.left_out > 0) {
        text += fmt::format("; the last {} left out{}{}", recorded.left_out,
                            recorded.complaint.empty() ? "" : ": ", recorded.complaint);
    }
    return text;
}

}  // namespace hvp::tool
