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

/// For which basic exit reasons the instruction-length field is that of the instruction that caused
/// the exit, whatever else happened. For all others it may hold rubbish, and nothing is stepped
/// over. [SDM 3C 27.2.4 "Information for VM Exits Due to Instruction Execution"]
inline constexpr auto has_instruction_length = [] {
    std::array<bool, exit_reason_names.size()> table{};
    constexpr auto reasons = std::to_array<std::uint8_t>(
        {10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
         30, 31, 32, 36, 39, 40, 46, 47, 50, 51, 53, 54, 55, 57, 58, 60, 61, 63, 64});
    for (const std::uint8_t reason : reasons) {
        table[reason] = true;
    }
    return table;
}();

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
    std::array<Handler<V>, exit_reason_names.size()> handlers;
    std::array<const char*, exit_reason_names.size()> names;  ///< of the functions, for the trace

    template <std::uint32_t reason, Next (*handler)(Exit<V>)>
    constexpr void instruction() {
        static_assert(has_instruction_length[reason]);
        handlers[reason] = on_instruction<handler>;
        names[reason] = function_name<handler>.data();
    }
    template <std::uint32_t reason, AfterEvent (*handler)(Exit<V>)>
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
    constexpr std::uint32_t vmcall = 18;
    const auto add = [&]<std::uint32_t reason>() {
        if constexpr (reason != 0 && reason != vmcall) {
            table.template instruction<reason, on_vmx_instruction<V>>();
        }
    };
    (add.template operator()<vmx_instructions[number].exit_reason>(), ...);
}

/// Every basic exit reason with its handler. The number is the index.
/// [SDM 3C 24.9.1 "Basic VM-Exit Information"]
template <VmcsAccess V>
inline constexpr auto handler_table = [] {
    HandlerTable<V> table{};
    table.handlers.fill(on_unhandled<V>);
    table.names.fill("on_unhandled");
    table.template event<0, on_exception_or_nmi<V>>();
    table.template event<1, on_external_interrupt<V>>();
    table.template event<2, on_triple_fault<V>>();
    table.template event<7, on_window<V>>();
    table.template event<exit_reason_nmi_window, on_window<V>>();
    table.template instruction<10, on_cpuid<V>>();
    table.template instruction<exit_reason_hlt, on_hlt<V>>();
    table.template instruction<18, on_vmcall<V>>();
    table.template instruction<28, on_control_register<V>>();
    table.template instruction<31, on_rdmsr<V>>();
    table.template instruction<32, on_wrmsr<V>>();
    table.template event<48, on_ept_violation<V>>();
    table.template event<49, on_ept_misconfiguration<V>>();
    table.template event<62, on_page_modification_log_full<V>>();
    add_vmx_instructions(table, std::make_index_sequence<vmx_instructions.size()>{});
    return table;
}();

template <VmcsAccess V>
inline constexpr auto exit_handlers = handler_table<V>.handlers;

inline constexpr auto exit_handler_names = handler_table<ExitVmcs>.names;

/// The name of the function that handles exits of this basic reason.
[[nodiscard]] constexpr const char* exit_handler_name(std::uint32_t reason) {
    return reason < exit_handler_names.size() ? exit_handler_names[reason] : "unknown";
}
static_assert(std::string_view{exit_handler_name(exit_reason_hlt)} == "on_hlt");

}  // namespace hvp::vmx
