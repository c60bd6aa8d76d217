#include "stages/ept/memory.hpp"

#include <bit>
#include <new>
#include <utility>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vcpu/guest_segments.hpp"
#include "hypervisor/vmcs/fields.hpp"
#include "platform/windows/nt.hpp"

namespace hvp::ept_stage {
namespace {

using arch::GuestLinearAddress;
using ept::Role;
using vmx::Failure;
using vmx::FailureKind;

/// Windows' page tables are in no mapping that drivers may use, and MmMapIoSpace refuses them: but
/// physical memory may be copied.  [Windows: MmCopyMemory]
bool read_physical(void*, arch::GuestPhysicalAddress where, std::uint64_t& value) {
    MM_COPY_ADDRESS source{};
    source.PhysicalAddress.QuadPart = static_cast<LONGLONG>(where.raw());
    SIZE_T copied = 0;
    return MmCopyMemory(&value, source, sizeof value, mm_copy_memory_physical, &copied) ==
           STATUS_SUCCESS;
}

template <typename T>
GuestLinearAddress page_with(const T* object) {
    return arch::page_of(GuestLinearAddress{reinterpret_cast<std::uint64_t>(object)});
}

ept::GuestPaging paging_of(const ept::Limits& limits, const arch::ProcessorState& windows) {
    constexpr std::uint64_t no_execute_enable = 1U << 11;
    constexpr std::uint32_t extended_features = 0x8000'0001;
    constexpr std::uint32_t pages_1_gb = 1U << 26;
    return {.cr3 = windows.cr3,
            .physical_address_bits = limits.physical_address_bits,
            .no_execute_enabled = (arch::rdmsr(arch::Msr::efer) & no_execute_enable) != 0,
            .pages_1_gb = (arch::cpuid(extended_features).edx & pages_1_gb) != 0};
}

}  // namespace

StageMemory::StageMemory(windows::PageRun pages)
    : pages_{std::move(pages)}, memory_{new(pages_.start()) Memory{}} {}

std::expected<StageMemory, Failure> StageMemory::take(const windows::AtPassiveLevel& passive) {
    constexpr std::size_t pages = arch::pages_for(sizeof(Memory));
    auto run = windows::PageRun::allocate(passive, pages,
                                          arch::HostPhysicalAddress{0x7FFF'FFFF'FFFF'FFFF});
    if (!run) {
        static constexpr vmx::Explanation why{
            .step = "memory for EPT tables",
            .rule = {"3C", "28.2.2", "EPT Translation Mechanism"},
            .remedy = "Windows has no contiguous pages left: start the driver soon after boot",
        };
        return std::unexpected{Failure{.kind = FailureKind::out_of_memory, .why = &why}};
    }
    StageMemory memory{std::move(*run)};
    memory->pool.emplace(memory->tables, memory->links,
                         memory.pages_.physical() + offsetof(Memory, tables));
    return memory;
}

arch::MappedRange StageMemory::range() const {
    return {.linear = arch::linear_address_of(memory_),
            .physical = pages_.physical(),
            .pages = pages_.bytes() / arch::page_bytes,
            .access = arch::Access::read_write};
}

std::expected<void, Failure> find_needed(Memory& memory, const ept::Limits& limits,
                                         const arch::ProcessorState& windows) {
    const auto segments = vmx::describe_segments(windows);
    if (!segments) {
        return std::unexpected{segments.error()};
    }
    const auto& task = (*segments)[std::to_underlying(vmx::SegmentIndex::tr)];
    const std::array ranges{
        ept::WorkingSetRange{page_with(std::bit_cast<const std::byte*>(&touch_everything)),
                             arch::page_bytes, Role::code, ept::read_execute},
        ept::WorkingSetRange{page_with(&memory.guest_stack), arch::page_bytes, Role::stack,
                             ept::read_write},
        ept::WorkingSetRange{page_with(&memory.guest), sizeof(GuestData), Role::data,
                             ept::read_write},
        ept::WorkingSetRange{page_with(std::bit_cast<const std::byte*>(&target)), arch::page_bytes,
                             Role::code, ept::read_execute},
        ept::WorkingSetRange{GuestLinearAddress{windows.gdtr.base}, windows.gdtr.limit_bytes + 1ULL,
                             Role::system, ept::read_write},
        ept::WorkingSetRange{GuestLinearAddress{windows.idtr.base}, windows.idtr.limit_bytes + 1ULL,
                             Role::system, ept::read_only},
        ept::WorkingSetRange{GuestLinearAddress{task.base}, task.limit.bytes + 1ULL, Role::system,
                             ept::read_only},
    };
    const ept::GuestPaging paging = paging_of(limits, windows);
    for (const ept::WorkingSetRange& range : ranges) {
        if (!memory.needed.add(range, paging, {read_physical, nullptr})) {
            static constexpr vmx::Explanation why{
                .step = "the guest's page tables",
                .rule = {"3A", "4.5", "4-Level Paging and 5-Level Paging"},
                .remedy = "they do not lead to a page that the guest needs, or to too many",
            };
            return std::unexpected{Failure{.kind = FailureKind::unexpected, .why = &why}};
        }
    }
    return {};
}

arch::HostPhysicalAddress page_of(std::uint64_t (*function)()) {
    const auto physical = MmGetPhysicalAddress(std::bit_cast<void*>(function)).QuadPart;
    return arch::page_of(arch::HostPhysicalAddress{static_cast<std::uint64_t>(physical)});
}

}  // namespace hvp::ept_stage
