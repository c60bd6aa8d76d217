#include "stages/ept/memory.hpp"
#include "platform/host.hpp"

#include <bit>
#include <utility>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/vcpu/setup/guest_segments.hpp"
#include "hypervisor/vmcs/fields.hpp"
#include "stages/shared/result.hpp"

namespace hvp::ept_stage {
namespace {

using arch::GuestLinearAddress;
using ept::Role;
using vmx::Failure;
using vmx::FailureKind;

bool read_physical(void*, arch::GuestPhysicalAddress where, std::uint64_t& value) {
    return platform::read_physical(where, value);
}

template <typename T>
GuestLinearAddress page_with(const T* object) {
    return arch::page_of(GuestLinearAddress{reinterpret_cast<std::uint64_t>(object)});
}

ept::GuestPaging paging_of(const ept::Limits& limits, const arch::ProcessorState& host) {
    constexpr std::uint64_t no_execute_enable = 1U << 11;
    constexpr std::uint32_t extended_features = 0x8000'0001;
    constexpr std::uint32_t pages_1_gb = 1U << 26;
    return {.cr3 = host.cr3,
            .physical_address_bits = limits.physical_address_bits,
            .no_execute_enabled = (arch::rdmsr(arch::Msr::efer) & no_execute_enable) != 0,
            .pages_1_gb = (arch::cpuid(extended_features).edx & pages_1_gb) != 0};
}

std::expected<void, Failure> find_needed(Memory& memory, const arch::ProcessorState& host) {
    const auto segments = vmx::describe_segments(host);
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
        ept::WorkingSetRange{GuestLinearAddress{host.gdtr.base}, host.gdtr.limit_bytes + 1ULL,
                             Role::system, ept::read_write},
        ept::WorkingSetRange{GuestLinearAddress{host.idtr.base}, host.idtr.limit_bytes + 1ULL,
                             Role::system, ept::read_only},
        ept::WorkingSetRange{GuestLinearAddress{task.base}, task.limit.bytes + 1ULL, Role::system,
                             ept::read_only},
    };
    const ept::GuestPaging paging = paging_of(memory.limits, host);
    for (const ept::WorkingSetRange& range : ranges) {
        if (!memory.needed.add(range, paging, {read_physical, nullptr})) {
            static constexpr vmx::Explanation why{
                .step = "the guest's page tables",
                .rule = {"3A", "4.5", "4-Level Paging and 5-Level Paging"},
                .remedy = "they do not lead to a page that the guest needs, or to too many",
            };
            return stages::unexpected(why);
        }
    }
    return {};
}

}  // namespace

std::expected<stages::OwnedPages<Memory>, Failure> take_memory(
    const platform::AtPassiveLevel& passive, const ept::Limits& limits) {
    auto memory = stages::OwnedPages<Memory>::take(passive);
    if (!memory) {
        return memory;
    }
    Memory& stage = **memory;
    stage.limits = limits;
    stage.pool.emplace(stage.tables, stage.links, memory->physical_of(&stage.tables));
    stage.guest.target = target;
    stage.guest.target_page = reinterpret_cast<const volatile std::uint64_t*>(target);
    stage.guest.outside = reinterpret_cast<const volatile std::uint64_t*>(other);
    if (const auto found = find_needed(stage, arch::ProcessorState::capture()); !found) {
        return std::unexpected{found.error()};
    }
    return memory;
}

std::expected<void, Failure> create_views(Memory& memory, InitialMap initial_map,
                                          std::uint32_t processor) {
    const auto physical_page = [](std::uint64_t (*function)()) {
        return platform::physical_page_of(std::bit_cast<const void*>(function));
    };
    memory.views.reset();
    auto views = Views::create(*memory.pool, memory.limits, memory.needed,
                               {.target = physical_page(target), .other = physical_page(other)},
                               processor, initial_map);
    if (!views) {
        static constexpr vmx::Explanation too_few_tables{
            .step = "the EPT",
            .rule = {"3C", "28.2.2", "EPT Translation Mechanism"},
            .remedy = "the guest's pages lie further apart than expected: raise table_pages",
        };
        static constexpr vmx::Explanation wrong_entry{
            .step = "the EPT",
            .rule = {"3C", "28.2.3.1", "EPT Misconfigurations"},
            .remedy = "the mapper does not write an entry that the processor would refuse",
        };
        const bool too_few = views.error() == ept::EditError::no_table_left;
        return std::unexpected{Failure{.kind = FailureKind::unexpected,
                                       .why = too_few ? &too_few_tables : &wrong_entry,
                                       .number = static_cast<std::uint32_t>(views.error())}};
    }
    memory.views.emplace(std::move(*views));
    return {};
}

}  // namespace hvp::ept_stage
