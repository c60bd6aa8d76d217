// What an exit handler gets, and what it may decide.
#pragma once

#include <cstdint>

#include "hypervisor/vcpu/guest_registers.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmcs/unchecked_vmcs.hpp"

namespace hvp::vmx {

/// What the handler of an instruction has decided.
enum class Next : std::uint8_t {
    step_over,  ///< go on after the instruction that caused the exit
    resume,     ///< go on where the guest was: the instruction is executed again, or an event comes
    stop,       ///< leave this guest for good; `guest_stop` says why
};

/// What the handler of an event has decided: there is no instruction to step over.
enum class AfterEvent : std::uint8_t { resume, stop };

/// One exit: the VMCS, and the frame with the guest's registers. Small enough to be passed in a
/// register.
struct Exit {
    VmmFrame& frame;
    [[no_unique_address]] UncheckedVmcs vmcs{};

    [[nodiscard]] GuestRegisters& registers() const { return frame.registers; }
    [[nodiscard]] VirtualProcessor& processor() const { return *frame.owner; }

    /// Leaves the guest.
    [[nodiscard]] Next stop(StopReason why) const {
        processor().guest_stop.why = why;
        return Next::stop;
    }
    [[nodiscard]] AfterEvent stop_after_event(StopReason why) const {
        processor().guest_stop.why = why;
        return AfterEvent::stop;
    }
};
static_assert(sizeof(Exit) == sizeof(void*));

}  // namespace hvp::vmx
