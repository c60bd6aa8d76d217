// What a run of this stage notes, and tells afterwards.
#pragma once

#include <cstdint>

#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "platform/windows/trace.hpp"
#include "stages/guest-state/guest.hpp"

namespace hvp::guest_state {

/// When the driver did what, as time-stamp counter values, and what the guest did. The exits are in
/// the virtual processor's ring.
struct Journal {
    std::uint64_t supported_at{};
    vmx::VmxBasic basic{};
    std::uint64_t vmxon_at{};
    std::uint64_t vm_entry_at{};
    std::uint64_t left_at{};
    Conversation conversation{};
};

/// How many of the guest's steps went well, in three ways to look at it.
struct Proof {
    std::uint64_t kept_by_guest{};  ///< the guest found its other registers as before
    std::uint64_t same_for_vmm{};   ///< the VMM saw the values that the guest had chosen
    std::uint64_t answers_right{};  ///< the instruction's results are those of this VMM

    friend bool operator==(const Proof&, const Proof&) = default;
};
inline constexpr Proof perfect{step_count, step_count, step_count};

/// Writes it as events, in the order in which the things happened, and empties the ring.
///
/// Where    PASSIVE_LEVEL, outside VMX operation.
[[nodiscard]] Proof tell(const windows::TraceProvider& provider, const Journal& journal,
                         vmx::VirtualProcessor& processor);

}  // namespace hvp::guest_state
