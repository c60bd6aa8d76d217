// VMCALL, the VMM's side: see hypercall.hpp.
#pragma once

#include <optional>

#include "hypervisor/events/delivery.hpp"
#include "hypervisor/exits/hypercall.hpp"

namespace hvp::vmx {

inline Next answer(Exit exit, HypercallStatus status, std::uint64_t value = 0) {
    exit.registers()[Register::rax] = static_cast<std::uint64_t>(status);
    exit.registers()[Register::rdx] = value;
    return Next::step_over;
}

/// VMCALL exits at every privilege level. Code above CPL 0, and code that does not speak to this
/// VMM, gets what it would get without us.  [SDM 3C 30.3 "VMX Instructions"] VMCALL
///
/// Needs    `stage_call`: answers a call and its argument that the VMM itself does not know with a
///          value, or with nothing where the stage does not know it either
template <typename StageCall>
Next answer_vmcall(Exit exit, StageCall stage_call) {
    // SS.DPL is the CPL.  [SDM 3C 24.4.1 "Guest Register State"]
    if (exit.vmcs.read(guest_ss_rights).privilege_level != 0) {
        return inject_fault(exit, Vector::invalid_opcode);
    }
    const std::uint64_t argument = exit.registers()[Register::rcx];
    switch (static_cast<Hypercall>(exit.registers()[Register::rax])) {
        case Hypercall::ping:
            return answer(exit, HypercallStatus::success, argument + 1);
        case Hypercall::exit_count:
            if (argument >= exit.processor().exits.size()) {
                return answer(exit, HypercallStatus::bad_argument);
            }
            return answer(exit, HypercallStatus::success, exit.processor().exits.values[argument]);
        case Hypercall::stop:
            return exit.stop(StopReason::stopped_by_guest);
    }
    if (!is_hypercall(exit.registers()[Register::rax])) {
        return inject_fault(exit, Vector::invalid_opcode);
    }
    const std::optional<std::uint64_t> value =
        stage_call(exit.registers()[Register::rax], argument);
    return value ? answer(exit, HypercallStatus::success, *value)
                 : answer(exit, HypercallStatus::unknown_call);
}
inline Next on_vmcall(Exit exit) {
    return answer_vmcall(
        exit, [](std::uint64_t, std::uint64_t) { return std::optional<std::uint64_t>{}; });
}

}  // namespace hvp::vmx
