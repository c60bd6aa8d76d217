// All memory of a VMM for one processor, and the page tables on which it will run.
#pragma once

#include <array>
#include <expected>
#include <span>

#include "hypervisor/arch/address_space.hpp"
#include "hypervisor/vcpu/session.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmx/capabilities.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "platform/host.hpp"

namespace hvp::platform {

/// Taken before VMX operation begins: while the VMM runs, nothing can be taken. Given back by the
/// destructor, which must not run before VMXOFF.
class VmmMemory {
public:
    /// Takes the memory and builds the VMM's page tables: the driver's image, the VMM's stacks and
    /// tables, what else the stage works on, and nothing more.
    /// A wrong pointer in the VMM is then a page fault, and not a silent change somewhere in the
    /// host.
    [[nodiscard]] static std::expected<VmmMemory, vmx::Failure> take(
        const AtPassiveLevel& passive, const vmx::VmxCapabilities& capabilities,
        const DriverImage& image, std::span<const arch::MappedRange> also = {});

    [[nodiscard]] vmx::ProcessorMemory& processor() const { return *region_.memory; }
    [[nodiscard]] const vmx::ProcessorRegion& region() const { return region_; }
    /// For the host-state area.
    [[nodiscard]] std::uint64_t cr3() const { return own_.cr3(); }
    /// A window in the VMM's page tables, for looks at the guest's memory.
    ///
    /// Where    PASSIVE_LEVEL, before the VMM runs
    [[nodiscard]] std::expected<arch::PhysicalWindow, vmx::Failure> open_window();
    /// All of it but the guest's stack: what a guest has no business in.
    [[nodiscard]] std::array<arch::MappedRange, 2> own_ranges() const;
    [[nodiscard]] std::byte* guest_stack_end() const { return guest_stack_.end(); }
    /// All of it, for a Session.
    [[nodiscard]] vmx::SessionMemory session_memory() const {
        return {.region = region_, .host_cr3 = cr3(), .guest_stack_end = guest_stack_end()};
    }

private:
    VmmMemory(PageRun processor, PageRun page_tables, PageRun guest_stack,
              LocalApicMapping local_apic);

    PageRun processor_;
    PageRun page_tables_;
    PageRun guest_stack_;
    LocalApicMapping local_apic_;
    vmx::ProcessorRegion region_;
    arch::AddressSpace own_;
};

}  // namespace hvp::platform
