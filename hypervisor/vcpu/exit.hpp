// What an exit handler gets, and what it may decide.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vcpu/guest_registers.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmcs/fields.hpp"

namespace hvp::vmx {

/// Something that has VMCS fields: the processor's current VMCS, or an image of one in memory. The
/// handlers work on both, so that tests can run them where there is no VMX.
template <typename V>
concept VmcsAccess = requires(V vmcs) {
    { vmcs.read(exit_reason) } -> std::same_as<ExitReasonField>;
    vmcs.write(guest_rip, arch::GuestLinearAddress{0});
};

/// The current VMCS while an exit is handled. It has just caused this exit, so it is current, and
/// reading a field that every processor has cannot fail: nothing is checked.
class ExitVmcs {
public:
    template <typename F>
    [[nodiscard, gnu::always_inline]] typename F::Value read(F) const {
        const std::uint64_t value = arch::vmread_unchecked(F::encoding);
        // VMREAD clears what is above the field's width; the compiler need not do it again.
        // [SDM 3C 24.11.2 "VMREAD, VMWRITE, and Encodings of VMCS Fields"]
        constexpr std::uint64_t largest = std::numeric_limits<typename F::Raw>::max();
        [[assume(value <= largest)]];
        return std::bit_cast<typename F::Value>(static_cast<typename F::Raw>(value));
    }
    template <typename F>
    [[gnu::always_inline]] void write(F, std::type_identity_t<typename F::Value> value) const {
        arch::vmwrite_unchecked(F::encoding, std::bit_cast<typename F::Raw>(value));
    }
};
static_assert(VmcsAccess<ExitVmcs>);

/// What the dispatcher does after the handler of an instruction.
enum class Next : std::uint8_t {
    step_over,  ///< go on behind the instruction that caused the exit
    halt,       ///< the same, when an event has come that the guest waits for
    resume,     ///< go on where the guest was: the instruction is executed again, or an event comes
    stop,       ///< leave this guest for good; `guest_stop` says why
};

/// What it does after the handler of an event: there is no instruction to step over.
enum class AfterEvent : std::uint8_t { resume, stop };

/// One exit: the VMCS, and the frame with the guest's registers. Small enough to be passed in a
/// register.
template <VmcsAccess V>
struct Exit {
    [[no_unique_address]] V vmcs;
    VmmFrame& frame;

    [[nodiscard]] GuestRegisters& registers() const { return frame.registers; }
    [[nodiscard]] VirtualProcessor& processor() const { return *frame.owner; }

    /// Leaves the guest.
    [[nodiscard]] Next stop(StopReason why) {
        processor().guest_stop.why = why;
        return Next::stop;
    }
};

}  // namespace hvp::vmx
