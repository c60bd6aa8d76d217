// The memory of one virtual processor, prepared, on a scripted processor under Windows.
#pragma once

#include <cstdint>
#include <memory>

#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "tests/unit/arch/windows_processor.hpp"

namespace hvp::vmx {

class VirtualProcessorMemory : public WindowsProcessor {
protected:
    VirtualProcessorMemory() {
        arch::processor.cpuid[0x8000'0008].eax = 0x3028;  // 48 linear, 40 physical bits
        prepare(region,
                {.basic = {.revision_identifier = 0x2B},
                 .cr0_ones = arch::Flags<arch::Cr0>{0x8000'0021},
                 .cr4_ones = arch::Cr4::vmx_enable},
                untraced_exits());
    }

    std::unique_ptr<ProcessorMemory> memory = std::make_unique<ProcessorMemory>();
    ProcessorRegion region{.memory = memory.get(),
                           .physical = arch::HostPhysicalAddress{0x40'0000}};
};

}  // namespace hvp::vmx
