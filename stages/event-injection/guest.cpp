#include "stages/event-injection/guest.hpp"

#include "hypervisor/arch/control_registers.hpp"
#include "hypervisor/arch/descriptor_tables.hpp"
#include "hypervisor/exits/cpuid.hpp"
#include "hypervisor/exits/hypercall.hpp"
#include "hypervisor/vmcs/event_information.hpp"
#include "platform/windows/nt.hpp"

// Without C++ exceptions libstdc++'s headers make `if (true)` of it; here it is the compiler's.
#undef __try

namespace hvp::event_injection {
namespace {

using stages::Refused;

// ---- Windows' way: __try and __except ---------------------------------------------------------

/// A function of its own, as the compiler assumes that only calls raise exceptions.
[[gnu::noinline]] void execute_instruction(Refused instruction, stages::Place& place) {
    stages::execute(instruction, place);
}

int look(Verdict& verdict, const EXCEPTION_POINTERS& pointers) {
    verdict.code = static_cast<std::uint32_t>(pointers.ExceptionRecord->ExceptionCode);
    verdict.address = reinterpret_cast<std::uint64_t>(pointers.ExceptionRecord->ExceptionAddress);
    return EXCEPTION_EXECUTE_HANDLER;
}

void launch_in_try(Verdict& verdict) {
    __try {
        execute_instruction(Refused::vmlaunch, verdict.place);
        verdict.answer = came_back;
    } __except (look(verdict, *static_cast<EXCEPTION_POINTERS*>(_exception_info()))) {
        verdict.answer = was_caught;
    }
}

// ---- The guest's own way: an IDT, and a handler that looks at what was pushed ------------------

constexpr std::size_t gates = 256;
alignas(16) constinit std::array<arch::InterruptGate, gates> idt{};
constinit Attempt* current{};

/// Notes the frame, and has the guest go on after the instruction.
[[gnu::always_inline, gnu::no_caller_saved_registers]] inline void note(PushedFrame& frame,
                                                                        vmx::Vector vector,
                                                                        std::uint64_t error_code) {
    ++current->handlers;
    current->vector = static_cast<std::uint64_t>(vector);
    current->error_code = error_code;
    current->frame = frame;
    // The compiler takes the frame for a copy of its own; but IRET reads it.
    const_cast<volatile std::uint64_t&>(frame.rip) = current->place.after;
}

[[gnu::interrupt]] void on_invalid_opcode(PushedFrame* frame) {
    note(*frame, vmx::Vector::invalid_opcode, 0);
}

[[gnu::interrupt]] void on_general_protection(PushedFrame* frame, std::uint64_t error_code) {
    note(*frame, vmx::Vector::general_protection, error_code);
}

/// Windows' IDT with two gates of our own, and Windows' again at the end: NMIs still find Windows.
class OwnIdt {
public:
    OwnIdt() : before_{arch::sidt()} {
        const auto* const windows = reinterpret_cast<const arch::InterruptGate*>(before_.base);
        const std::size_t count = (before_.limit_bytes + 1U) / sizeof(arch::InterruptGate);
        for (std::size_t i = 0; i < count && i < idt.size(); ++i) {
            idt[i] = windows[i];
        }
        set(vmx::Vector::invalid_opcode, reinterpret_cast<std::uint64_t>(&on_invalid_opcode));
        set(vmx::Vector::general_protection,
            reinterpret_cast<std::uint64_t>(&on_general_protection));
        arch::lidt({.limit_bytes = before_.limit_bytes,
                    .base = reinterpret_cast<std::uint64_t>(idt.data())});
    }
    OwnIdt(const OwnIdt&) = delete;
    OwnIdt& operator=(const OwnIdt&) = delete;
    ~OwnIdt() { arch::lidt(before_); }

private:
    static void set(vmx::Vector vector, std::uint64_t handler) {
        idt[static_cast<std::size_t>(vector)] = arch::interrupt_gate(handler, arch::read_cs(), 0);
    }
    arch::TableRegister before_;
};

constexpr std::array plan{Refused::vmcall,   Refused::vmclear,  Refused::vmlaunch,
                          Refused::vmptrld,  Refused::vmptrst,  Refused::vmread,
                          Refused::vmresume, Refused::vmwrite,  Refused::vmxoff,
                          Refused::vmxon,    Refused::invept,   Refused::invvpid,
                          Refused::vmfunc,   Refused::set_vmxe, Refused::read_vmx_msr};
static_assert(plan.size() == attempt_count);

void try_each(Mailbox& mailbox) {
    const OwnIdt own_idt;
    for (std::size_t i = 0; i < plan.size(); ++i) {
        current = &mailbox.attempts[i];
        current->instruction = plan[i];
        stages::execute(plan[i], current->place);
    }
}

}  // namespace

void guest_main(void* argument) {
    Mailbox& mailbox = *static_cast<Mailbox*>(argument);
    launch_in_try(mailbox.verdict);
    try_each(mailbox);
    mailbox.cpuid_1_ecx = arch::cpuid(1).ecx;
    mailbox.cr4 = arch::read_cr4().raw();
    (void)vmx::hypercall(vmx::Hypercall::stop, 0);
    for (;;) {
        arch::hlt();  // never reached; and if it is, it is an exit
    }
}

bool is_as_outside_vmx(const Attempt& attempt) {
    const bool is_vmx_instruction =
        attempt.instruction != Refused::set_vmxe && attempt.instruction != Refused::read_vmx_msr;
    const auto expected =
        is_vmx_instruction ? vmx::Vector::invalid_opcode : vmx::Vector::general_protection;
    const arch::Flags<arch::Rflags> pushed{attempt.frame.rflags};
    return attempt.handlers == 1 && attempt.vector == static_cast<std::uint64_t>(expected) &&
           attempt.error_code == 0 && attempt.frame.rip == attempt.place.at &&
           attempt.frame.rsp == attempt.place.rsp && pushed.has(arch::Rflags::resume) &&
           attempt.frame.cs == arch::read_cs() && attempt.frame.ss == arch::read_ss();
}

bool is_as_outside_vmx(const Verdict& verdict) {
    constexpr std::uint64_t illegal_instruction = 0xC000'001D;  // STATUS_ILLEGAL_INSTRUCTION
    return verdict.answer == was_caught && verdict.code == illegal_instruction &&
           verdict.address == verdict.place.at;
}

bool hides_vmx(const Mailbox& mailbox) {
    return (mailbox.cpuid_1_ecx & arch::cpuid_1_ecx_vmx) == 0 &&
           !arch::Flags<arch::Cr4>{mailbox.cr4}.has(arch::Cr4::vmx_enable);
}

}  // namespace hvp::event_injection
