// The guest's own page tables, walked by software: from a linear address to a guest-physical one,
// with every table on the way.
//
// With EPT the processor needs two kinds of translation for each access. The guest's page tables
// lie in guest-physical memory, so each entry that it reads on the way is itself a guest-physical
// access, which goes through the EPT. A VMM that maps only the working set of a guest must map
// these tables as well.  [SDM 3C 28.2.1 "EPT Overview"]
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/ept/entry.hpp"

namespace hvp::ept {

/// How the walker reads the guest's memory: eight bytes. False: there is no memory.
class GuestMemoryReader {
public:
    using Function = bool (*)(void* context, arch::GuestPhysicalAddress where,
                              std::uint64_t& value);

    constexpr GuestMemoryReader(Function function, void* context)
        : function_{function}, context_{context} {}
    [[nodiscard]] bool read(arch::GuestPhysicalAddress where, std::uint64_t& value) const {
        return function_(context_, where, value);
    }

private:
    Function function_;
    void* context_;
};

/// What the walk depends on.
struct GuestPaging {
    std::uint64_t cr3{};
    std::uint32_t physical_address_bits{};  ///< MAXPHYADDR
    bool no_execute_enabled{};              ///< IA32_EFER.NXE
    bool pages_1_gb{};                      ///< CPUID.80000001H:EDX[26]
};

/// How it ended.
enum class GuestWalkEnd : std::uint8_t {
    page,
    not_canonical,
    not_present,   ///< a page fault
    reserved_bit,  ///< a page fault, too
    unreadable,    ///< the table could not be read
};

/// One table that the walk went through.
struct GuestWalkStep {
    Level level{};
    arch::GuestPhysicalAddress table{0};
    std::uint32_t index{};
    std::uint64_t entry{};
};

struct GuestWalk {
    GuestWalkEnd end{};
    std::array<GuestWalkStep, 4> steps{};
    std::uint32_t step_count{};
    std::uint64_t page_bytes{};  ///< 4 KBytes, 2 MBytes or 1 GByte
    bool writable{};
    bool executable{};
    bool user{};
    arch::GuestPhysicalAddress physical{0};  ///< where the address leads, to the byte
};

/// Walks the four levels.
///
/// Needs    a guest in 64-bit mode with CR0.PG, CR4.PAE, without CR4.LA57
/// Source   [SDM 3A 4.5 "4-Level Paging and 5-Level Paging"],
///          [SDM 3A 4.6.1 "Determination of Access Rights"]
[[nodiscard]] GuestWalk walk_guest_tables(const GuestPaging& paging,
                                          arch::GuestLinearAddress linear,
                                          GuestMemoryReader memory);

/// The same for an address that the processor has just translated itself, for instance that of the
/// instruction which exits: rights and reserved bits are not checked. But the processor may have
/// used a translation that it cached, and another processor may have changed the tables since.
///
/// Needs    as walk_guest_tables; `read_entry`: the entry with this index of the table at a
///          guest-physical address, which may have bits that this processor lacks
/// Returns  nothing where the tables do not map the address now
template <typename ReadEntry>
[[nodiscard]] std::optional<arch::GuestPhysicalAddress> translate_used(
    std::uint64_t cr3, arch::GuestLinearAddress linear, ReadEntry read_entry) {
    constexpr std::uint64_t address_bits = 0x000F'FFFF'FFFF'F000;  // 51:12
    constexpr std::uint64_t present = 1U << 0;
    constexpr std::uint64_t large = 1U << 7;
    std::uint64_t entry = cr3;
    for (Level level = Level::pml4;; level = below(level)) {
        entry = read_entry(arch::GuestPhysicalAddress{entry & address_bits},
                           index_at(level, linear.raw()));
        if ((entry & present) == 0) {
            return std::nullopt;
        }
        if (level == Level::page_table || (level != Level::pml4 && (entry & large) != 0)) {
            const std::uint64_t in_page = bytes_of_entry(level) - 1;
            return arch::GuestPhysicalAddress{(entry & address_bits & ~in_page) |
                                              (linear.raw() & in_page)};
        }
    }
}

}  // namespace hvp::ept
