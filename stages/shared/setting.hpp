// What a stage has when VMX operation can begin.
#pragma once

#include <cstdint>

#include "hypervisor/vmx/capabilities.hpp"
#include "platform/windows/trace.hpp"
#include "platform/windows/vmm_memory.hpp"

namespace hvp::stages {

struct Setting {
    const windows::TraceProvider& provider;
    const vmx::VmxCapabilities& capabilities;
    windows::VmmMemory& memory;
    std::uint32_t processor;  ///< where all of it happens
};

}  // namespace hvp::stages
