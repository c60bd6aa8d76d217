#include "platform/vmm_memory.hpp"

#include <cstddef>
#include <new>
#include <span>
#include <utility>

namespace hvp::platform {
namespace {

/// Room for the tables of four levels: the image and the processor's memory lie far apart.
constexpr std::size_t table_pages = 24;
/// As many as a thread of 64-bit Windows has.
constexpr std::size_t guest_stack_pages = 6;

std::unexpected<vmx::Failure> no_table_left() {
    static constexpr vmx::Explanation why{
        .step = "the VMM's page tables",
        .rule = {"3A", "4.5", "4-Level Paging and 5-Level Paging"},
        .remedy = "the driver is larger than its reserve of table pages: raise table_pages",
    };
    return std::unexpected{vmx::Failure{.kind = vmx::FailureKind::unexpected, .why = &why}};
}

}  // namespace

VmmMemory::VmmMemory(PageRun processor, PageRun page_tables, PageRun guest_stack,
                     LocalApicMapping local_apic)
    : processor_{std::move(processor)},
      page_tables_{std::move(page_tables)},
      guest_stack_{std::move(guest_stack)},
      local_apic_{std::move(local_apic)},
      region_{.memory = new(processor_.start()) vmx::ProcessorMemory{},
              .physical = processor_.physical()},
      own_{std::span{reinterpret_cast<arch::PageTable*>(page_tables_.start()), table_pages},
           page_tables_.physical()} {
    region_.memory->processor.local_apic = local_apic_.apic();
}

std::expected<VmmMemory, vmx::Failure> VmmMemory::take(const AtPassiveLevel& passive,
                                                       const vmx::VmxCapabilities& capabilities,
                                                       const DriverImage& image,
                                                       std::span<const arch::MappedRange> also) {
    if (const auto good = vmx::check_paging_levels(); !good) {
        return std::unexpected{good.error()};
    }
    // [SDM 3D A.1 "Basic VMX Information"]: some processors take 32-bit addresses only.
    const arch::HostPhysicalAddress highest{
        capabilities.basic.addresses_are_32_bits != 0 ? 0xFFFF'FFFF : 0x7FFF'FFFF'FFFF'FFFF};
    auto processor = PageRun::allocate(passive, vmx::processor_memory_pages, highest);
    auto page_tables = PageRun::allocate(passive, table_pages, highest);
    auto guest_stack = PageRun::allocate(passive, guest_stack_pages, highest);
    if (!processor || !page_tables || !guest_stack) {
        static constexpr vmx::Explanation why{
            .step = "memory",
            .rule = {"3C", "24.11.5", "VMXON Region"},
            .remedy = "no contiguous pages are left: start the driver soon after boot",
        };
        return std::unexpected{vmx::Failure{.kind = vmx::FailureKind::out_of_memory, .why = &why}};
    }
    VmmMemory memory{std::move(*processor), std::move(*page_tables), std::move(*guest_stack),
                     LocalApicMapping{passive}};

    auto mapped = image.map(memory.own_);
    if (mapped) {
        mapped = vmx::map(memory.own_, memory.region_);
    }
    for (const arch::MappedRange& range : also) {
        if (mapped) {
            mapped = memory.own_.map(range);
        }
    }
    if (!mapped) {
        return no_table_left();
    }
    return memory;
}

std::expected<arch::PhysicalWindow, vmx::Failure> VmmMemory::open_window() {
    // In the lower half of the addresses, where the VMM has nothing else.
    constexpr arch::HostLinearAddress start{0x4000'0000'0000};
    const auto window = own_.open_window(start);
    if (!window) {
        return no_table_left();
    }
    return *window;
}

std::array<arch::MappedRange, 2> VmmMemory::own_ranges() const {
    const auto range = [](const PageRun& run) {
        return arch::MappedRange{.linear = arch::linear_address_of(run.start()),
                                 .physical = run.physical(),
                                 .pages = run.bytes() / arch::page_bytes,
                                 .access = arch::Access::read_write};
    };
    return {range(processor_), range(page_tables_)};
}

}  // namespace hvp::platform
