// Notes of exits in the processor's ring. An observer like Traced sees each exit before its
// handler, when nothing has changed yet, and after it; which one a table of handlers has is chosen
// when the table becomes an exit path, so that a guest without a trace has no instruction for it.
#pragma once

#include <bit>
#include <cstdint>

#include "hypervisor/trace/ring.hpp"
#include "hypervisor/vcpu/exit.hpp"
#include "hypervisor/vmcs/exit_qualification.hpp"

namespace hvp::vmx {

/// Nobody looks.
class Untraced {
public:
    explicit Untraced(Exit, std::uint32_t) {}
    void finish(Exit, bool) const {}
};

/// What the trace shows of an exit beside the VMCS: the leaf, the MSR, the value, the event.
[[nodiscard, gnu::always_inline]] inline std::uint64_t read_detail(Exit exit, ExitDetail detail) {
    const GuestRegisters& registers = exit.registers();
    switch (detail) {
        case ExitDetail::none:
            return 0;
        case ExitDetail::interruption_information:
            return std::bit_cast<std::uint32_t>(exit.vmcs.read(exit_interruption_information));
        case ExitDetail::cpuid_leaf:
            return registers.low(Register::rax);
        case ExitDetail::hypercall:
            return registers[Register::rax];
        case ExitDetail::general_register: {
            const auto access =
                std::bit_cast<ControlRegisterAccess>(exit.vmcs.read(exit_qualification));
            const auto which = static_cast<Register>(access.general_register);
            return which == Register::rsp ? exit.vmcs.read(guest_rsp).raw() : registers[which];
        }
        case ExitDetail::msr:
            return registers.low(Register::rcx);
        case ExitDetail::guest_physical_address:
            return exit.vmcs.read(guest_physical_address).raw();
    }
    return 0;
}

/// One byte for each reason: the driver carries no more of the table of facts.
inline constexpr auto exit_details = [] {
    PerExitReason<ExitDetail> details;
    for (const ExitReasonFacts& row : exit_reasons) {
        details[row.reason] = row.detail;
    }
    return details;
}();

/// A note of each exit, written where the reader will find it. `registers`: with the sum over the
/// guest's general registers, by which guest and VMM can compare what they saw; it takes as many
/// instructions as all the rest.
template <bool registers>
class Traced {
public:
    /// Where the reason is a constant, so is the choice of the detail.
    [[gnu::always_inline]] explicit Traced(Exit exit, std::uint32_t reason)
        : event_{exit.processor().ring->next()} {
        event_.exit_at = arch::rdtsc();
        event_.qualification = exit.vmcs.read(exit_qualification);
        event_.guest_rip = exit.vmcs.read(guest_rip).raw();
        event_.detail =
            reason < exit_reason_count ? read_detail(exit, exit_details.values[reason]) : 0;
        event_.registers = registers ? exit.registers().sum() : 0;
        event_.reason = reason;
        event_.instruction_length = exit.vmcs.read(exit_instruction_length);
    }

    [[gnu::always_inline]] void finish(Exit exit, bool goes_on) const {
        // The exit has cleared the field's valid bit, so what is valid is for the entry to come.
        // [SDM 3C 24.8.3 "VM-Entry Controls for Event Injection"]
        event_.injected =
            std::bit_cast<std::uint32_t>(exit.vmcs.read(entry_interruption_information));
        event_.entry_at = goes_on ? arch::rdtsc() : 0;
        exit.processor().ring->publish(event_);
    }

private:
    trace::ExitEvent& event_;
};

}  // namespace hvp::vmx
