// What a stage has when VMX operation can begin.
#pragma once

#include <cstdint>

#include "hypervisor/vmx/capabilities.hpp"
#include "platform/host.hpp"
#include "platform/vmm_memory.hpp"

namespace hvp::stages {

struct Setting {
    const platform::TraceProvider& provider;
    const vmx::VmxCapabilities& capabilities;
    platform::VmmMemory& memory;
    std::uint32_t processor;  ///< where all of it happens
};

}  // namespace hvp::stages
