// Dispatches interrupts and exceptions.
#include "lab/nt/ke/trap.hpp"

#include <array>
#include <bit>
#include <optional>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/hal/probe.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/clock.hpp"
#include "lab/nt/ke/exception_names.hpp"
#include "lab/nt/ke/exception_record.hpp"
#include "lab/nt/ke/ipi.hpp"
#include "lab/nt/ke/nmi.hpp"
#include "lab/nt/ke/page_fault.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/scheduler.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/ldr/module.hpp"
#include "lab/nt/rtl/text.hpp"

namespace hvp::lab::ke {
namespace {

/// [SDM 3A 6.3.1 "External Interrupts", Table 6-1] and Windows' own vectors.
enum class Vector : std::uint64_t {
    divide_error = 0,
    debug = 1,
    nmi = 2,
    breakpoint = 3,
    overflow = 4,
    bound_range = 5,
    invalid_opcode = 6,
    double_fault = 8,
    general_protection = 13,
    page_fault = 14,
    x87_error = 16,
    alignment_check = 17,
    machine_check = 18,
    simd_error = 19,
    fast_fail = 0x29,
    assertion = 0x2C,
    debug_service = 0x2D,
    dispatch = dispatch_vector,
    clock = clock_vector,
    ipi = ipi_vector,
    spurious = 0xFF,
};

/// The NTSTATUS of a processor exception on Windows.  [Windows: NTSTATUS Values]
std::optional<std::uint32_t> exception_code(Vector vector) {
    switch (vector) {
        case Vector::divide_error:
            return 0xC000'0094;  // STATUS_INTEGER_DIVIDE_BY_ZERO
        case Vector::debug:
            return 0x8000'0004;  // STATUS_SINGLE_STEP
        case Vector::breakpoint:
        case Vector::debug_service:
            return 0x8000'0003;  // STATUS_BREAKPOINT
        case Vector::overflow:
            return 0xC000'0095;  // STATUS_INTEGER_OVERFLOW
        case Vector::bound_range:
            return 0xC000'008C;  // STATUS_ARRAY_BOUNDS_EXCEEDED
        case Vector::invalid_opcode:
            return 0xC000'001D;  // STATUS_ILLEGAL_INSTRUCTION
        case Vector::general_protection:
            return 0xC000'0005;  // STATUS_ACCESS_VIOLATION
        case Vector::alignment_check:
            return 0x8000'0002;  // STATUS_DATATYPE_MISALIGNMENT
        case Vector::x87_error:
            return 0xC000'0090;  // STATUS_FLOAT_INVALID_OPERATION
        case Vector::simd_error:
            return 0xC000'02B5;  // STATUS_FLOAT_MULTIPLE_TRAPS
        case Vector::assertion:
            return 0xC000'0420;  // STATUS_ASSERTION_FAILURE
        default:
            return std::nullopt;
    }
}

/// Windows reports the address of an INT instruction, while the processor saves that of the next
/// one.
std::uint64_t instruction_bytes(Vector vector) {
    switch (vector) {
        case Vector::breakpoint:
            return 1;
        case Vector::fast_fail:
        case Vector::assertion:
            return 2;
        default:
            return 0;
    }
}

bool recover_probe(TrapFrame& frame) {
    if (!hal::is_probe(frame.rip)) {
        return false;
    }
    frame.rip = hal::probe_failure();
    return true;
}

constinit std::uint32_t bugcheck_processor{};  // its number + 1

/// From here on the trap ends in a bug check. If this processor is here a second time, something
/// that the bug check needs is broken (page tables, a stack), and the full report would only fault
/// again. A processor that traps while another one is here freezes: that one ends the machine.
void enter_bugcheck(const TrapFrame& frame) {
    const std::uint32_t self = current_processor_number() + 1;
    std::uint32_t current = 0;
    if (__atomic_compare_exchange_n(&bugcheck_processor, &current, self, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        return;
    }
    if (current == self) {
        nested_bug_check({.code = BugCheckCode::unexpected_kernel_mode_trap,
                          .parameters = {frame.vector},
                          .frame = &frame});
    }
    freeze();
}

[[noreturn]] void on_double_fault(const TrapFrame& frame) {
    const bool overflow = mm::is_stack_guard(mm::LinearAddress{frame.rsp - 8}) ||
                          mm::is_stack_guard(mm::LinearAddress{frame.rsp}) ||
                          mm::is_stack_guard(mm::LinearAddress{arch::read_cr2()});
    rtl::Sentence detail;
    if (overflow) {
        detail.put("the stack of thread ").put(current_thread().name).put(" overflowed: RSP ");
        detail.hex(frame.rsp).put(" reached its guard page");
    }
    bug_check({.code = BugCheckCode::unexpected_kernel_mode_trap,
               .parameters = {frame.vector},
               .detail = detail.view(),
               .frame = &frame});
}

[[noreturn]] void stop_for(const rtl::ExceptionRecord& record, const TrapFrame& frame) {
    if (!is_known_stack(mm::LinearAddress{frame.rsp})) {
        const auto [record_address, context_address] = keep(record, frame);
        bug_check({.code = BugCheckCode::exception_on_invalid_stack,
                   .parameters = {frame.rsp, 0, context_address, record_address},
                   .detail = "an exception came while RSP was on no stack of the kernel's",
                   .frame = &frame});
    }
    const std::uint64_t code = record.code | 0xFFFF'FFFF'0000'0000;
    rtl::Sentence detail{"unhandled exception "};
    detail.hex(record.code).put(" ").put(name_of_exception(record.code));
    // Windows calls a system thread's routine inside a filter that raises bug check 0x7E for an
    // unhandled exception. A DPC does not belong to the thread that it has interrupted.
    const Processor& here = current_processor();
    if (&current_thread() != here.kpcr.prcb.idle_thread &&
        !here.dpc_stack.holds(mm::LinearAddress{frame.rsp})) {
        const auto [record_address, context_address] = keep(record, frame);
        bug_check({.code = BugCheckCode::system_thread_exception_not_handled,
                   .parameters = {code, record.address, record_address, context_address},
                   .detail = detail.view(),
                   .frame = &frame});
    }
    bug_check({.code = BugCheckCode::kmode_exception_not_handled,
               .parameters = {code, record.address, record.information[0], record.information[1]},
               .detail = detail.view(),
               .frame = &frame});
}

/// The exception that a trap raises, if handlers may handle it.
std::optional<Exception> exception_of(const TrapFrame& frame) {
    const auto vector = static_cast<Vector>(frame.vector);
    if (vector == Vector::page_fault) {
        return exception_of_page_fault(frame);
    }
    const auto code = exception_code(vector);
    if (!code) {
        return std::nullopt;
    }
    // A #GP has no address: Windows reports an access violation at -1.
    return vector == Vector::general_protection ? Exception{*code, 2, {0, ~0ULL}}
                                                : Exception{*code, 0, {}};
}

/// Returns if the exception is unhandled. Kernel code with interrupts off must not be left
/// half-way: for its exceptions, and during a bug check, no handler is called.
void offer_to_handlers(const TrapFrame& frame, const Exception& exception) {
    constexpr std::uint64_t interrupt_enable = 0x200;
    const bool interrupts = (frame.rflags & interrupt_enable) != 0;
    const bool in_kernel = ldr::module_at(frame.rip) == &ldr::kernel_module();
    if ((in_kernel && !interrupts) || !is_known_stack(mm::LinearAddress{frame.rsp}) ||
        __atomic_load_n(&bugcheck_processor, __ATOMIC_ACQUIRE) != 0) {
        return;
    }
    rtl::Context context{};
    rtl::RtlCaptureContext(&context);
    write_to(context, frame);
    rtl::ExceptionRecord record = record_of(frame, exception);
    if (interrupts) {
        arch::sti();  // handlers run with the interrupted code's interrupt flag
    }
    if (rtl::dispatch_exception(record, context)) {
        rtl::RtlRestoreContext(&context, nullptr);
    }
    arch::cli();
}

}  // namespace

void unhandled_exception(const rtl::ExceptionRecord& record, const rtl::Context& context) {
    stop_for(record, frame_of(context));
}

extern "C" void dispatch_trap(TrapFrame* frame) {
    const auto vector = static_cast<Vector>(frame->vector);
    switch (vector) {
        case Vector::clock:
            return on_clock_interrupt();
        case Vector::ipi:
            return on_ipi();
        case Vector::dispatch:
            return on_dispatch_interrupt();
        case Vector::spurious:
            return;  // a spurious interrupt sets no ISR bit: no EOI
        default:
            break;
    }
    // Not an NMI that comes by chance while a probe is tried.
    if (vector != Vector::nmi && vector != Vector::machine_check && recover_probe(*frame)) {
        return;
    }
    if (vector == Vector::nmi && is_frozen()) {
        freeze();
    }
    if (vector == Vector::nmi && call_nmi_callbacks()) {
        return;
    }
    frame->rip -= instruction_bytes(vector);
    const auto exception = exception_of(*frame);
    if (exception) {
        offer_to_handlers(*frame, *exception);
    }
    enter_bugcheck(*frame);
    if (exception) {
        stop_for(record_of(*frame, *exception), *frame);
    }
    switch (vector) {
        case Vector::page_fault:
            on_page_fault(*frame);
        case Vector::double_fault:
            on_double_fault(*frame);
        case Vector::nmi:
            bug_check({.code = BugCheckCode::nmi_hardware_failure, .frame = frame});
        case Vector::machine_check:
            bug_check({.code = BugCheckCode::machine_check_exception, .frame = frame});
        case Vector::fast_fail:
            bug_check({.code = BugCheckCode::kernel_security_check_failure,
                       .parameters = {frame->rcx & 0xFFFF'FFFF},
                       .frame = frame});
        default:
            break;
    }
    constexpr std::uint64_t exceptions = 32;
    bug_check({.code = frame->vector < exceptions ? BugCheckCode::unexpected_kernel_mode_trap
                                                  : BugCheckCode::trap_cause_unknown,
               .parameters = {frame->vector},
               .frame = frame});
}

}  // namespace hvp::lab::ke
