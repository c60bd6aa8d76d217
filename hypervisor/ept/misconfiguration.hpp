// Entries that the processor refuses, and the rule that they break.
#pragma once

#include <cstdint>

#include "hypervisor/arch/bits.hpp"
#include "hypervisor/ept/capability.hpp"
#include "hypervisor/ept/entry.hpp"

namespace hvp::ept {

/// What this processor allows in an entry.
struct Limits {
    Capability capability{};
    std::uint32_t physical_address_bits{};  ///< MAXPHYADDR
};

/// The rules, in the SDM's order.  [SDM 3C 28.2.3.1 "EPT Misconfigurations"]
enum class Misconfiguration : std::uint8_t {
    none,
    write_without_read,
    execute_only,  ///< and the processor has no execute-only translations
    reserved_bit,  ///< an address beyond MAXPHYADDR is one, too
    memory_type,   ///< 2, 3 or 7 in an entry that maps a page
};

/// The rule in words, for the trace.
[[nodiscard]] constexpr const char* name_of(Misconfiguration rule) {
    switch (rule) {
        case Misconfiguration::none:
            return "none";
        case Misconfiguration::write_without_read:
            return "it allows writes but not reads";
        case Misconfiguration::execute_only:
            return "it allows execution but not reads, which this processor lacks";
        case Misconfiguration::reserved_bit:
            return "a reserved bit is set";
        case Misconfiguration::memory_type:
            return "its memory type is a reserved one";
    }
    return "unknown";
}

/// The bits that must be 0 in an entry of this level.  Tables 28-1 to 28-6.
[[nodiscard]] constexpr std::uint64_t reserved_bits(Level level, Entry entry,
                                                    const Limits& limits) {
    using arch::bits;
    constexpr unsigned large_bit = 7;
    const std::uint64_t beyond = bits(51, limits.physical_address_bits);
    if (level == Level::pml4) {
        return beyond | bits(7, 3);
    }
    if (level == Level::page_table) {
        return beyond;
    }
    const bool allowed = level == Level::directory ? limits.capability.pages_2_mb != 0
                                                   : limits.capability.pages_1_gb != 0;
    if (!entry.maps_page(level)) {
        return beyond | bits(6, 3);
    }
    const unsigned first_address_bit = level == Level::directory ? 21 : 30;
    return beyond | bits(first_address_bit - 1, 12) | (allowed ? 0 : bits(large_bit, large_bit));
}

/// Which rule the entry breaks.
///
/// Source   [SDM 3C 28.2.3.1 "EPT Misconfigurations"]
[[nodiscard]] constexpr Misconfiguration misconfiguration_of(Level level, Entry entry,
                                                             const Limits& limits) {
    const Rights rights = entry.rights();
    if (!rights.read && rights.write) {
        return Misconfiguration::write_without_read;
    }
    if (!rights.read && rights.execute && limits.capability.execute_only == 0) {
        return Misconfiguration::execute_only;
    }
    if (!entry.is_present()) {
        return Misconfiguration::none;
    }
    if ((entry.raw() & reserved_bits(level, entry, limits)) != 0) {
        return Misconfiguration::reserved_bit;
    }
    const std::uint8_t type = entry.memory_type_bits();
    if (entry.maps_page(level) && (type == 2 || type == 3 || type == 7)) {
        return Misconfiguration::memory_type;
    }
    return Misconfiguration::none;
}

}  // namespace hvp::ept
