// What a run of one guest notes.
#pragma once

#include <cstdint>

#include "hypervisor/vcpu/timestamps.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"

namespace hvp::stages {

/// When the driver did what, and what the guest did: `Mailbox` is what goes between VMM and guest.
/// The exits are in the virtual processor's ring.
template <typename Mailbox>
struct Journal {
    std::uint64_t supported_at{};
    vmx::VmxBasic basic{};
    vmx::Timestamps timestamps{};
    Mailbox mailbox{};
};

}  // namespace hvp::stages
