// What the VMM does about each exit: the table of handlers, and how a stage makes its own of it.
//
// A handler is a function of an exit, and of the stage's own state if it wants it:
//
//     vmx::Next on_rdtsc(vmx::Exit exit, MyState& state);
//
// It returns what it has decided, and the type of that says what it may decide: `Next` may step
// over the instruction, `AfterEvent` may not. A table is a type. `with` makes another one, in which
// a handler comes before the one that was there:
//
//     constexpr auto handlers = vmx::default_handlers.with<vmx::ExitReason::rdtsc, on_rdtsc>();
//
// And `exit_path` makes of a table what the processor goes through at an exit:
//
//     vmx::set_exit_path(vmm, vmx::exit_path<handlers, vmx::Traced<false>>(my_state));
//
// All this happens when the driver is compiled. At an exit there is one jump, through an array of
// functions with the reason as its index. Each is a handler with what comes after it, in one piece.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "hypervisor/exits/control_registers.hpp"
#include "hypervisor/exits/cpuid.hpp"
#include "hypervisor/exits/ept.hpp"
#include "hypervisor/exits/external_interrupts.hpp"
#include "hypervisor/exits/function_name.hpp"
#include "hypervisor/exits/hlt.hpp"
#include "hypervisor/exits/msr.hpp"
#include "hypervisor/exits/nmi.hpp"
#include "hypervisor/exits/resume_guest.hpp"
#include "hypervisor/exits/tracing.hpp"
#include "hypervisor/exits/vmcall.hpp"
#include "hypervisor/exits/vmx_instructions.hpp"
#include "hypervisor/exits/xsetbv.hpp"
#include "hypervisor/vcpu/entry.hpp"

namespace hvp::vmx {

// ---- Handlers that have no file of their own ----------------------------------------------------

/// See the table in vmx_instructions.hpp.
inline Next on_vmx_instruction(Exit exit) {
    return inject_fault(exit, Vector::invalid_opcode);
}

/// INVD empties the caches without writing what is modified in them. That would not be the guest's
/// data alone: the VMM's own, written a moment ago, and what the host system has written on this
/// processor would be lost with it. WBINVD empties them, too, and loses nothing.
/// [SDM 3C 25.1.2 "Instructions That Cause VM Exits Unconditionally"]
inline Next on_invd(Exit) {
    arch::wbinvd();
    return Next::step_over;
}

/// The guest could not deliver an exception, nor the double fault about it. A processor without a
/// VMM would shut down.  [SDM 3C 25.2 "Other Causes of VM Exits"]
inline AfterEvent on_triple_fault(Exit exit) {
    return exit.stop_after_event(StopReason::triple_fault);
}

// ---- The table ----------------------------------------------------------------------------------

struct NoState {};

/// What the type of a handler says of it.
template <typename Function>
struct HandlerType;
template <typename Result>
struct HandlerType<Result (*)(Exit)> {
    using Decision = Result;
    using State = NoState;
};
template <typename Result, typename S, typename... More>
struct HandlerType<Result (*)(Exit, S&, More...)> {
    using Decision = Result;
    using State = S;
};

/// A row: exits of this reason have this handler.
template <ExitReason which, auto function>
struct Handles {
    using Decision = HandlerType<decltype(function)>::Decision;
    using State = HandlerType<decltype(function)>::State;
    static constexpr ExitReason reason = which;
    static constexpr auto handler = function;

    static_assert(std::same_as<Decision, Next> || std::same_as<Decision, AfterEvent>);
    static_assert(std::same_as<Decision, AfterEvent> || has_instruction_length(which),
                  "a reason without an instruction length has nothing to step over");
};

/// A row: when a step of one instruction is over, this function chooses the EPT.
template <auto function>
struct EndsSteps {
    using State = HandlerType<decltype(function)>::State;
    static constexpr auto ends_step = function;
};

/// A row: which accesses to MSRs exit.
template <const auto& table>
struct HasMsrs {
    using State = NoState;
    static constexpr std::span<const MsrPolicies> msrs{table};
};

namespace table {

/// The row of a reason that no handler knows.
struct Unhandled {};

template <ExitReason reason>
[[nodiscard]] consteval auto handler() {
    return Unhandled{};
}
template <ExitReason reason, typename Row, typename... Rows>
[[nodiscard]] consteval auto handler() {
    if constexpr (requires { Row::handler; }) {
        if constexpr (Row::reason == reason) {
            return Row{};
        } else {
            return handler<reason, Rows...>();
        }
    } else {
        return handler<reason, Rows...>();
    }
}

template <typename... Rows>
[[nodiscard]] consteval std::span<const MsrPolicies> msrs() {
    std::span<const MsrPolicies> found;
    bool is_found = false;
    const auto look = [&]<typename Row>() {
        if constexpr (requires { Row::msrs; }) {
            found = is_found ? found : Row::msrs;
            is_found = true;
        }
    };
    (look.template operator()<Rows>(), ...);
    return found;
}

/// The one type of state that the rows want.
template <typename Found>
[[nodiscard]] consteval auto state() {
    return std::type_identity<Found>{};
}
template <typename Found, typename Row, typename... Rows>
[[nodiscard]] consteval auto state() {
    if constexpr (std::same_as<typename Row::State, NoState>) {
        return state<Found, Rows...>();
    } else {
        static_assert(std::same_as<Found, NoState> || std::same_as<Found, typename Row::State>,
                      "all handlers of a table share one state");
        return state<typename Row::State, Rows...>();
    }
}

/// A handler becomes part of its caller: its own call would cost as much as a short handler does.
template <auto function>
[[nodiscard, gnu::always_inline]] inline decltype(auto) call(Exit exit, auto... more) {
    using State = HandlerType<decltype(function)>::State;
    if constexpr (std::same_as<State, NoState>) {
        [[clang::always_inline]] return function(exit);
    } else {
        [[clang::always_inline]] return function(exit, *static_cast<State*>(exit.frame.state),
                                                 more...);
    }
}

/// A handler with what comes before and after it.
template <typename Row, typename Observer>
[[clang::preserve_none, gnu::flatten]] void handle(VmmFrame* frame) {
    const Exit exit{.frame = *frame};
    Observer observer{exit, number_of(Row::reason)};
    const bool goes_on = carry_out(exit, call<Row::handler>(exit));
    observer.finish(exit, goes_on);
    if (goes_on) [[likely]] {
        [[clang::musttail]] return hvp_resume_guest(frame);
    }
    [[clang::musttail]] return hvp_leave_guest(frame);
}

/// A reason that nobody has planned for ends the guest, with its name in the report; and so does a
/// reason field that is not simply a number: a VM entry that failed.
template <typename Observer>
[[clang::preserve_none, gnu::noinline, gnu::cold]] void on_unhandled(VmmFrame* frame) {
    const Exit exit{.frame = *frame};
    const ExitReasonField field = exit.vmcs.read(exit_reason);
    Observer observer{exit, std::bit_cast<std::uint32_t>(field)};
    exit.processor().machine_check |= field.basic() == ExitReason::machine_check_event;
    exit.processor().guest_stop.why =
        field.entry_failure != 0 ? StopReason::entry_failed : StopReason::unhandled_exit;
    observer.finish(exit, leave(exit));
    [[clang::musttail]] return hvp_leave_guest(frame);
}

template <typename Row, typename Observer>
[[nodiscard]] consteval ExitFunction* function() {
    if constexpr (std::same_as<Row, Unhandled>) {
        return on_unhandled<Observer>;
    } else {
        return handle<Row, Observer>;
    }
}

template <typename Row>
[[nodiscard]] consteval const char* name() {
    if constexpr (std::same_as<Row, Unhandled>) {
        return "on_unhandled";
    } else {
        return function_name<Row::handler>.data();
    }
}

}  // namespace table

/// A table: rows, of which the first for a reason counts. It has no bytes.
template <typename... Rows>
struct Handlers {
    using State = decltype(table::state<NoState, Rows...>())::type;

    template <ExitReason reason, auto handler>
    [[nodiscard]] consteval auto with() const {
        return Handlers<Handles<reason, handler>, Rows...>{};
    }
    template <auto ends_step>
    [[nodiscard]] consteval auto with_step_end() const {
        return Handlers<EndsSteps<ends_step>, Rows...>{};
    }
    template <const auto& msrs>
    [[nodiscard]] consteval auto with_msrs() const {
        return Handlers<HasMsrs<msrs>, Rows...>{};
    }

    /// The row for a reason.
    template <ExitReason reason>
    using For = decltype(table::handler<reason, Rows...>());

    static constexpr bool ends_steps = (requires { Rows::ends_step; } || ...);
    static constexpr std::span<const MsrPolicies> msrs = table::msrs<Rows...>();

    /// By reason: a handler with all that belongs to it, as entry.S can call it.
    template <typename Observer>
    static constexpr auto functions = []<std::size_t... i>(std::index_sequence<i...>) {
        return PerExitReason<ExitFunction*>{
            {table::function<For<static_cast<ExitReason>(i)>, Observer>()...}};
    }(std::make_index_sequence<exit_reason_count>{});

    /// The handlers' names, for the trace.
    static constexpr auto names = []<std::size_t... i>(std::index_sequence<i...>) {
        return PerExitReason<const char*>{{table::name<For<static_cast<ExitReason>(i)>>()...}};
    }(std::make_index_sequence<exit_reason_count>{});

    /// VmmFrame::on_exit.
    template <typename Observer>
    [[clang::preserve_none]] static void on_exit(VmmFrame* frame) {
        const auto reason = std::bit_cast<std::uint32_t>(UncheckedVmcs{}.read(exit_reason));
        if (reason >= exit_reason_count) [[unlikely]] {
            [[clang::musttail]] return table::on_unhandled<Observer>(frame);
        }
        ++frame->owner->exits.values[reason];
        [[clang::musttail]] return functions<Observer>.values[reason](frame);
    }

    /// The same during a step of one instruction. Where the step was all that the exit is about, it
    /// is handled by that.
    template <typename Observer>
    [[clang::preserve_none]] static void on_exit_of_step(VmmFrame* frame) {
        const Exit exit{.frame = *frame};
        const auto reason = std::bit_cast<std::uint32_t>(exit.vmcs.read(exit_reason));
        if (reason >= exit_reason_count) {
            [[clang::musttail]] return table::on_unhandled<Observer>(frame);
        }
        Observer observer{exit, reason};
        const std::optional<AfterEvent> next =
            end_step(exit, static_cast<ExitReason>(reason),
                     [&](bool executed) { return ept_after_step(exit, executed); });
        if (!next) {
            [[clang::musttail]] return on_exit<Observer>(frame);
        }
        ++frame->owner->exits.values[reason];
        const bool goes_on = carry_out(exit, *next);
        observer.finish(exit, goes_on);
        if (goes_on) {
            [[clang::musttail]] return hvp_resume_guest(frame);
        }
        [[clang::musttail]] return hvp_leave_guest(frame);
    }

private:
    [[nodiscard]] static ept::Pointer ept_after_step(Exit exit, bool executed) {
        ept::Pointer pointer{};
        bool is_found = false;
        const auto look = [&]<typename Row>() {
            if constexpr (requires { Row::ends_step; }) {
                if (!is_found) {
                    pointer = table::call<Row::ends_step>(exit, executed);
                    is_found = true;
                }
            }
        };
        (look.template operator()<Rows>(), ...);
        return pointer;
    }
};

/// Notes about an entry that was refused.
void note_failed_entry(Exit exit);

/// For VmmFrame::on_failed_entry.
[[clang::preserve_none]] inline void on_failed_entry(VmmFrame* frame) {
    note_failed_entry(Exit{.frame = *frame});
    [[clang::musttail]] return hvp_leave_guest(frame);
}

/// The exit path through a table whose handlers have no state.
template <auto handlers, typename Observer = Untraced>
    requires std::same_as<typename decltype(handlers)::State, NoState>
[[nodiscard]] constexpr ExitPath exit_path() {
    using Table = decltype(handlers);
    return {.on_exit = Table::template on_exit<Observer>,
            .on_exit_of_step = Table::template on_exit<Observer>,
            .on_failed_entry = on_failed_entry,
            .msrs = Table::msrs};
}

/// The exit path through a table, with the state of its handlers, which outlives the guest.
template <auto handlers, typename Observer = Untraced>
[[nodiscard]] ExitPath exit_path(typename decltype(handlers)::State& state) {
    using Table = decltype(handlers);
    ExitPath path{.on_exit = Table::template on_exit<Observer>,
                  .on_exit_of_step = Table::template on_exit<Observer>,
                  .on_failed_entry = on_failed_entry,
                  .msrs = Table::msrs,
                  .state = &state};
    if constexpr (Table::ends_steps) {
        path.on_exit_of_step = Table::template on_exit_of_step<Observer>;
    }
    return path;
}

// ---- The VMM's own table ------------------------------------------------------------------------

namespace table {

/// Adds the exits of the VMX instructions. VMCALL has more to it, as the VMM's own guests call it
/// by that.
template <std::size_t row = 0, typename... Rows>
[[nodiscard]] consteval auto with_vmx_instructions(Handlers<Rows...> handlers) {
    if constexpr (row == vmx_instructions.size()) {
        return handlers;
    } else {
        constexpr VmxInstruction instruction = vmx_instructions[row];
        if constexpr (instruction.exits && instruction.reason != ExitReason::vmcall) {
            return with_vmx_instructions<row + 1>(
                handlers.template with<instruction.reason, on_vmx_instruction>());
        } else {
            return with_vmx_instructions<row + 1>(handlers);
        }
    }
}

}  // namespace table

/// What this VMM knows by itself.
inline constexpr auto default_handlers = table::with_vmx_instructions(
    Handlers<HasMsrs<msr_policies>, Handles<ExitReason::exception_or_nmi, on_exception_or_nmi>,
             Handles<ExitReason::external_interrupt, on_external_interrupt>,
             Handles<ExitReason::triple_fault, on_triple_fault>,
             Handles<ExitReason::interrupt_window, on_window>,
             Handles<ExitReason::nmi_window, on_window>, Handles<ExitReason::cpuid, on_cpuid>,
             Handles<ExitReason::hlt, on_hlt>, Handles<ExitReason::invd, on_invd>,
             Handles<ExitReason::xsetbv, on_xsetbv>, Handles<ExitReason::vmcall, on_vmcall>,
             Handles<ExitReason::control_register_access, on_control_register>,
             Handles<ExitReason::rdmsr, on_rdmsr>, Handles<ExitReason::wrmsr, on_wrmsr>,
             Handles<ExitReason::ept_violation, on_ept_violation>,
             Handles<ExitReason::ept_misconfiguration, on_ept_misconfiguration>>{});

using HandlerNames = PerExitReason<const char*>;

/// The name of the function that handles exits of this basic reason.
[[nodiscard]] constexpr const char* exit_handler_name(const HandlerNames& names,
                                                      std::uint32_t reason) {
    return reason < exit_reason_count ? names.values[reason] : "unknown";
}
static_assert(std::string_view{default_handlers.names[ExitReason::hlt]} == "on_hlt");

}  // namespace hvp::vmx
