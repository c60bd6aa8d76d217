// A VM entry that VMLAUNCH or VMRESUME refused by VMfail: what the number means, what was done,
// what to do.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>

#include "hypervisor/vmcs/instruction_error.hpp"
#include "tool/record/exit_pairs.hpp"
#include "tool/record/timeline.hpp"

namespace hvp::tool {

/// One reason for VMfail, beside its name in the SDM.
struct EntryError {
    std::uint32_t number;  ///< the VM-instruction error; 0: VMfailInvalid, which has none
    std::string_view what_was_done;
    std::string_view rule;
    std::string_view remedy;
};

/// Those that VMLAUNCH and VMRESUME have.
/// [SDM 3C 30.4 "VM Instruction Error Numbers", Table 30-1]
inline constexpr auto entry_errors = std::to_array<EntryError>({
    {0, "no VMCS was current", "SDM 3C 26.1 Basic VM-Entry Checks",
     "VMCLEAR the VMCS, then VMPTRLD makes it current"},
    {4, "the launch state of the VMCS was launched already", "SDM 3C 26.1 Basic VM-Entry Checks",
     "VMRESUME enters this guest again; after VMCLEAR the VMCS can be launched anew"},
    {5, "the launch state of the VMCS was clear", "SDM 3C 26.1 Basic VM-Entry Checks",
     "after VMCLEAR the first VM entry is VMLAUNCH, on the same processor"},
    {7, "a control field of the VMCS breaks a rule", "SDM 3C 26.2.1 Checks on VMX Controls",
     "./playground explain names the rule, from the event VmcsFields"},
    {8, "a host-state field of the VMCS breaks a rule",
     "SDM 3C 26.2 Checks on VMX Controls and Host-State Area",
     "./playground explain names the rule, from the event VmcsFields"},
    {26, "the instruction before had loaded SS", "SDM 3C 26.1 Basic VM-Entry Checks",
     "put another instruction between MOV SS or POP SS and the VM entry"},
});

struct RefusedEntry {
    std::string instruction;  ///< VMLAUNCH, VMRESUME
    std::string why;          ///< number, name and what was done
    std::string rule;
    std::string remedy;
};

/// Returns  the last VM entry that the driver reports as refused by VMfail, if there was one
[[nodiscard]] inline std::optional<RefusedEntry> refused_entry(const Timeline& timeline) {
    const auto all = timeline.all("driver", "VmxInstructionFailed");
    const auto last = std::ranges::find_if(all | std::views::reverse,
                                           [](const Event* e) { return is_vm_entry(*e); });
    if (last == (all | std::views::reverse).end()) {
        return std::nullopt;
    }
    const Event& failed = **last;
    const auto number = static_cast<std::uint32_t>(failed.number("error_number"));
    RefusedEntry refused{.instruction = failed.text("instruction"),
                         .why = number == 0 ? failed.text("result")
                                            : fmt::format("VM-instruction error {}, {}", number,
                                                          vmx::instruction_error_name(number)),
                         .rule = {},
                         .remedy = {}};
    const auto* const error = std::ranges::find(entry_errors, number, &EntryError::number);
    if (error != entry_errors.end()) {
        refused.why += fmt::format(": {}", error->what_was_done);
        refused.rule = error->rule;
        refused.remedy = error->remedy;
    }
    return refused;
}

}  // namespace hvp::tool
