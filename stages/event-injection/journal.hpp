// What a run of this stage notes, and tells afterwards.
#pragma once

#include <cstdint>

#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "platform/windows/trace.hpp"
#include "stages/event-injection/guest.hpp"

namespace hvp::event_injection {

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

/// Writes it as events, in the order in which the things happened, and empties the ring.
///
/// Returns  whether everything was as on a processor outside VMX operation
/// Where    PASSIVE_LEVEL, outside VMX operation.
[[nodiscard]] bool tell(const windows::TraceProvider& provider, const Journal& journal,
                        vmx::VirtualProcessor& processor);

}  // namespace hvp::event_injection
