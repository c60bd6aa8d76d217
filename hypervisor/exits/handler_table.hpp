// What the VMM does about each exit: one short function for each reason that it knows, and the
// table of all reasons.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "hypervisor/exits/control_registers.hpp"
#include "hypervisor/exits/cpuid.hpp"
#include "hypervisor/exits/ept.hpp"
#include "hypervisor/exits/external_interrupts.hpp"
#include "hypervisor/exits/function_name.hpp"
#include "hypervisor/exits/msr.hpp"
#include "hypervisor/exits/nmi.hpp"
#include "hypervisor/exits/resume_guest.hpp"
#include "hypervisor/exits/vmcall.hpp"
#include "hypervisor/exits/vmx_instructions.hpp"
#include "hypervisor/vcpu/exit.hpp"

namespace hvp::vmx {

/// An entry of the table: handles the exit, and says whether the guest goes on.
template <VmcsAccess V>
using Handler = bool (*)(Exit<V>);

/// A reason that nobody has planned for ends the guest, with its name in the report.
template <VmcsAccess V>
bool on_unhandled(Exit<V> exit) {
    exit.processor().guest_stop.why = StopReason::unhandled_exit;
    return leave(exit);
}

/// HLT waits for an interrupt. A guest whose interrupts we do not see has nothing to wait for: it
/// goes on.  [SDM 3C 25.1.3 "Instructions That Cause VM Exits Conditionally"]
template <VmcsAccess V>
Next on_hlt(Exit<V> exit) {
    const bool sees_interrupts =
        exit.vmcs.read(exit_controls).has(ExitControl::acknowledge_interrupt_on_exit);
    return sees_interrupts ? Next::halt : Next::step_over;
}

/// See the table in vmx_instructions.hpp.
template <VmcsAccess V>
Next on_vmx_instruction(Exit<V> exit) {
    return inject_fault(exit, Vector::invalid_opcode);
}

/// The guest could not deliver an exception, nor the double fault about it. A processor without a
/// VMM would shut down.  [SDM 3C 25.2 "Other Causes of VM Exits"]
template <VmcsAccess V>
AfterEvent on_triple_fault(Exit<V> exit) {
    exit.processor().guest_stop.why = StopReason::triple_fault;
    return AfterEvent::stop;
}

/// The table that the next lines fill: the type of a handler decides whether it may step over, and
/// a reason without an instruction length does not compile with one that may. A handler and what
/// comes after it are one function in the end: two calls less for every exit. (Static functions and
/// not lambdas: what a lambda is converted to calls it.)
template <VmcsAccess V>
struct HandlerTable {
    PerExitReason<Handler<V>> handlers;
    PerExitReason<const char*> names;  ///< of the functions, for the trace

    template <ExitReason reason, Next (*handler)(Exit<V>)>
    constexpr void instruction() {
        static_assert(has_instruction_length(reason));
        handlers[reason] = on_instruction<handler>;
        names[reason] = function_name<handler>.data();
    }
    template <ExitReason reason, AfterEvent (*handler)(Exit<V>)>
    constexpr void event() {
        handlers[reason] = on_event<handler>;
        names[reason] = function_name<handler>.data();
    }

private:
    template <Next (*handler)(Exit<V>)>
    static bool on_instruction(Exit<V> exit) {
        return after_instruction(exit, handler(exit));
    }
    template <AfterEvent (*handler)(Exit<V>)>
    static bool on_event(Exit<V> exit) {
        return after_event(exit, handler(exit));
    }
};

/// The exits of the VMX instructions. VMCALL has more to it, as the VMM's own guests call it by
/// that.
template <VmcsAccess V, std::size_t... number>
constexpr void add_vmx_instructions(HandlerTable<V>& table, std::index_sequence<number...>) {
    const auto add = [&]<std::size_t row>() {
        constexpr VmxInstruction instruction = vmx_instructions[row];
        if constexpr (instruction.exits && instruction.reason != ExitReason::vmcall) {
            table.template instruction<instruction.reason, on_vmx_instruction<V>>();
        }
    };
    (add.template operator()<number>(), ...);
}

/// Every basic exit reason with its handler. The number is the index.
/// [SDM 3C 24.9.1 "Basic VM-Exit Information"]
template <VmcsAccess V>
inline constexpr auto handler_table = [] {
    HandlerTable<V> table{};
    table.handlers.values.fill(on_unhandled<V>);
    table.names.values.fill("on_unhandled");
    table.template event<ExitReason::exception_or_nmi, on_exception_or_nmi<V>>();
    table.template event<ExitReason::external_interrupt, on_external_interrupt<V>>();
    table.template event<ExitReason::triple_fault, on_triple_fault<V>>();
    table.template event<ExitReason::interrupt_window, on_window<V>>();
    table.template event<ExitReason::nmi_window, on_window<V>>();
    table.template instruction<ExitReason::cpuid, on_cpuid<V>>();
    table.template instruction<ExitReason::hlt, on_hlt<V>>();
    table.template instruction<ExitReason::vmcall, on_vmcall<V>>();
    table.template instruction<ExitReason::control_register_access, on_control_register<V>>();
    table.template instruction<ExitReason::rdmsr, on_rdmsr<V>>();
    table.template instruction<ExitReason::wrmsr, on_wrmsr<V>>();
    table.template event<ExitReason::ept_violation, on_ept_violation<V>>();
    table.template event<ExitReason::ept_misconfiguration, on_ept_misconfiguration<V>>();
    table
        .template event<ExitReason::page_modification_log_full, on_page_modification_log_full<V>>();
    add_vmx_instructions(table, std::make_index_sequence<vmx_instructions.size()>{});
    return table;
}();

template <VmcsAccess V>
inline constexpr auto exit_handlers = handler_table<V>.handlers;

inline constexpr auto exit_handler_names = handler_table<ExitVmcs>.names;

/// The name of the function that handles exits of this basic reason.
[[nodiscard]] constexpr const char* exit_handler_name(std::uint32_t reason) {
    return reason < exit_reason_count ? exit_handler_names.values[reason] : "unknown";
}
static_assert(std::string_view{exit_handler_name(number_of(ExitReason::hlt))} == "on_hlt");

}  // namespace hvp::vmx
