#include "tool/run/replays/endless_exit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "hypervisor/vmcs/exit_reason.hpp"

namespace hvp::tool {
namespace {

using lab::DebuggerStop;
using vmx::ExitReason;

// At a VM exit RSP, RIP and RFLAGS are the host's already; the guest's are in the VMCS.
constexpr std::array general_registers{"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8",
                                       "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

// An exit is the same again if nothing has changed that an instruction of the guest could see.
bool is_same(const DebuggerStop& first, const DebuggerStop& second, std::uint64_t vmcs) {
    const bool same_registers = std::ranges::all_of(general_registers, [&](const char* name) {
        return first.find(name).has_value() && first.find(name) == second.find(name);
    });
    const auto same_field = [&](std::uint32_t encoding) {
        const auto value = lab::vmcs_field(first, vmcs, encoding);
        return value.has_value() && value == lab::vmcs_field(second, vmcs, encoding);
    };
    return same_registers && same_field(vmx::guest_rip.encoding) &&
           same_field(vmx::guest_rsp.encoding) && same_field(vmx::guest_rflags.encoding);
}

bool is_at_exit(const DebuggerStop& stop) {
    return stop.why == "VMEXIT breakpoint";
}

std::string with_commas(std::uint64_t number) {
    std::string text = std::to_string(number);
    constexpr std::size_t group = 3;
    for (std::size_t at = text.size(); at > group;) {
        at -= group;
        text.insert(at, ",");
    }
    return text;
}

bool is_about_memory(const RepeatedExit& exit) {
    const auto reason = static_cast<ExitReason>(exit.reason_number);
    return reason == ExitReason::ept_violation || reason == ExitReason::ept_misconfiguration;
}

EndlessExit::Values state_of(const DebuggerStop& stop, std::uint64_t address) {
    const ReplayedVmcs vmcs{stop, address};
    EndlessExit::Values state{
        {"RIP", vmcs.read(vmx::guest_rip)},
        {"RSP", vmcs.read(vmx::guest_rsp)},
        {"RFLAGS", vmcs.read(vmx::guest_rflags)},
        {"CR0", vmcs.read(vmx::guest_cr0)},
        {"CR3", vmcs.read(vmx::guest_cr3)},
        {"CR4", vmcs.read(vmx::guest_cr4)},
        {"CS", vmcs.find(nth(vmx::guest_es_selector, vmx::SegmentIndex::cs)).value_or(0)},
        {"activity state", vmcs.read(vmx::guest_activity_state)},
        {"interruptibility state", vmcs.read(vmx::guest_interruptibility_state)},
        {"exit qualification", vmcs.read(vmx::exit_qualification)},
        {"exit instruction length", vmcs.read(vmx::exit_instruction_length)},
    };
    return state;
}

EndlessExit::Values registers_of(const DebuggerStop& stop) {
    EndlessExit::Values values;
    for (const char* name : general_registers) {
        std::string upper{name};
        std::ranges::transform(upper, upper.begin(), [](char c) {
            return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        });
        values.emplace_back(upper, stop.find(name).value_or(0));
    }
    return values;
}

}  // namespace

std::optional<EndlessExit> confirm(const RepeatedExit& suspicion, std::string reason,
                                   const ReplayOfRun& replay) {
    const std::string look = "c\nregs\n" + show_vmcs(suspicion.vmcs);
    const auto stops =
        replay(fmt::format("sba {}\nc\nvmexitbp\n{}{}", suspicion.entered_at, look, look));
    if (stops.size() < 2 || !is_at_exit(stops[stops.size() - 1]) ||
        !is_at_exit(stops[stops.size() - 2]) ||
        !is_same(stops[stops.size() - 2], stops.back(), suspicion.vmcs)) {
        return std::nullopt;
    }
    const ReplayedVmcs vmcs{stops.back(), suspicion.vmcs};
    EndlessExit endless{.exit = suspicion,
                        .reason = std::move(reason),
                        .guest_rip = vmcs.read(vmx::guest_rip),
                        .state = state_of(stops.back(), suspicion.vmcs),
                        .registers = registers_of(stops.back())};
    if (is_about_memory(suspicion)) {
        endless.guest_physical = vmcs.read(vmx::guest_physical_address);
        endless.state.emplace_back("guest-physical address", endless.guest_physical);
    }
    return endless;
}

std::string sentence(const EndlessExit& endless, const AddressNames& names) {
    const auto reason = static_cast<ExitReason>(endless.exit.reason_number);
    std::string what;
    if (is_about_memory(endless.exit)) {
        what = fmt::format(
            "the access to guest-physical address {:#x} is tried again, and the EPT "
            "still does not allow it",
            endless.guest_physical);
    } else if (reason == ExitReason::triple_fault) {
        what = "a guest is resumed that cannot go on";
    } else if (reason < ExitReason{vmx::exit_reason_count} && vmx::has_instruction_length(reason)) {
        what = "RIP is not advanced";
    } else {
        what = "the guest executes nothing between entry and exit";
    }
    return fmt::format("exit {} {} at the same guest RIP {} times: {}; at {}",
                       endless.exit.reason_number, endless.reason, with_commas(endless.exit.count),
                       what, names.in_full(endless.guest_rip));
}

std::string remedy(const EndlessExit& endless) {
    const auto reason = static_cast<ExitReason>(endless.exit.reason_number);
    if (reason == ExitReason::ept_violation) {
        return "let the EPT allow the access and execute INVEPT where rights were added to a "
               "cached entry, or emulate the instruction, or end the guest";
    }
    if (reason == ExitReason::ept_misconfiguration) {
        return "correct the EPT entry for this address";
    }
    if (reason == ExitReason::triple_fault) {
        return "end the guest, or reset it: its state is that of the fault";
    }
    if (reason < ExitReason{vmx::exit_reason_count} && vmx::has_instruction_length(reason)) {
        return "add the VM-exit instruction length (440CH) to the guest RIP (681EH), or inject an "
               "exception";
    }
    return "the handler has to remove what causes the exit";
}

std::string guest_state_text(const EndlessExit& endless, const AddressNames& names) {
    std::string text = fmt::format("The guest at exit {}, as at the one before:\n",
                                   with_commas(endless.exit.count));
    for (const auto& [name, value] : endless.state) {
        text += fmt::format("  {:<23} = {:#x}{}\n", name, value,
                            name == "RIP" ? "  " + names.in_full(value) : "");
    }
    constexpr std::size_t in_a_line = 3;
    for (std::size_t i = 0; i < endless.registers.size(); ++i) {
        const auto& [name, value] = endless.registers[i];
        text += fmt::format("  {:<3} = {:#018x}{}", name, value,
                            i % in_a_line == in_a_line - 1 ? "\n" : "");
    }
    return text;
}

Json to_json(const EndlessExit& endless) {
    Json state = Json::object();
    for (const auto& [name, value] : endless.state) {
        state[name] = fmt::format("{:#x}", value);
    }
    for (const auto& [name, value] : endless.registers) {
        state[name] = fmt::format("{:#x}", value);
    }
    return {{"cpu", endless.exit.cpu},
            {"reason_number", endless.exit.reason_number},
            {"reason", endless.reason},
            {"count", endless.exit.count},
            {"guest_rip", fmt::format("{:#x}", endless.guest_rip)},
            {"guest", state}};
}

}  // namespace hvp::tool
