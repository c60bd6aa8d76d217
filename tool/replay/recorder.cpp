#include "tool/replay/recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "hypervisor/vmcs/exit_reason.hpp"
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

// Whether the machine is stopped in the guest, too, before the instruction that left it: where that
// is what an instruction did, and not an event between two, and the guest had executed something
// or could have.
bool has_stop_in_guest(std::span<const RecordedState> moments, std::size_t i) {
    if (moments[i].moment != Moment::exit || i == 0 || moments[i - 1].moment != Moment::entry ||
        moments[i - 1].t >= moments[i].t) {
        return false;
    }
    const auto reason =
        static_cast<vmx::ExitReason>(moments[i].fields.at(vmx::exit_reason.encoding));
    return reason < vmx::ExitReason{vmx::exit_reason_count} &&
           (vmx::has_instruction_length(reason) || reason == vmx::ExitReason::ept_violation ||
            reason == vmx::ExitReason::ept_misconfiguration);
}

std::string script_for(std::span<const RecordedState> moments) {
    // A time breakpoint comes again after the time that it was set for, unless a later one waits:
    // here is one that nobody reaches.
    constexpr std::uint64_t never = 1ULL << 62;
    std::string script = fmt::format("vmexitbp\nsba {}\n", never);
    for (std::size_t i = 0; i < moments.size(); ++i) {
        if (has_stop_in_guest(moments, i)) {
            script += fmt::format("sba {}\nc\nregs\n", moments[i].t);
        }
        if (moments[i].moment != Moment::exit) {
            script += fmt::format("sba {}\n", moments[i].t);
        }
        script += "c\nregs\n" + show_fields(moments[i].vmcs);
    }
    return script;
}

void read_stop(const DebuggerStop& stop, RecordedState& state) {
    state.fields.clear();  // what the log had is no content of the VMCS
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
    std::size_t next = 1;  // the first stop is the machine's reset
    for (std::size_t i = 0; i < recorded.states.size(); ++i) {
        RecordedState& state = recorded.states[i];
        const DebuggerStop* in_guest = nullptr;
        if (has_stop_in_guest(recorded.states, i) && next < stops.size()) {
            in_guest = &stops[next++];
        }
        if (next >= stops.size() || !is_at(stops[next], state)) {
            recorded.complaint = fmt::format("the replay did not come to {} {}",
                                             word_of(state.moment), state.number);
            recorded.left_out = recorded.states.size() - i;
            recorded.states.resize(i);
            break;
        }
        read_stop(stops[next++], state);
        const auto rip = state.fields.find(vmx::guest_rip.encoding);
        if (in_guest != nullptr && rip != state.fields.end() &&
            in_guest->find("rip") == rip->second) {
            state.instruction = in_guest->instruction;
        }
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
    if (count == 0 && recorded.left_out == 0) {
        return "recorded: nothing, as there was no VM entry";
    }
    std::string text = fmt::format("recorded: {} VM {} in vmcs.jsonl", count,
                                   count == 1 ? "entry or exit" : "entries and exits");
    if (recorded.left_out > 0) {
        text += fmt::format("; the last {} left out{}{}", recorded.left_out,
                            recorded.complaint.empty() ? "" : ": ", recorded.complaint);
    }
    return text;
}

}  // namespace hvp::tool
