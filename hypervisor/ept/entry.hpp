// What EPT paging structures consist of: one type for each kind of entry, after the SDM's tables,
// and a view of an entry for code that does not care which kind it is.
//
// Four levels, as in ordinary paging, with two differences that matter all the time: an entry is
// present as soon as it allows *anything*, and the memory type of a page is written in its entry.
// [SDM 3C 28.2.2 "EPT Translation Mechanism"]
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/memory_type.hpp"

namespace hvp::ept {

/// [SDM 3C 28.2.2 "EPT Translation Mechanism", Table 28-1]: references a page-directory-pointer
/// table, and controls 512 GBytes.
struct Pml4Entry {
    std::uint64_t read : 1 {};
    std::uint64_t write : 1 {};
    std::uint64_t execute : 1 {};
    std::uint64_t reserved_7_3 : 5 {};
    std::uint64_t accessed : 1 {};
    std::uint64_t ignored_9 : 1 {};
    std::uint64_t user_execute : 1 {};
    std::uint64_t ignored_11 : 1 {};
    std::uint64_t frame : 40 {};
    std::uint64_t ignored_63_52 : 12 {};
};
static_assert(sizeof(Pml4Entry) == sizeof(std::uint64_t));

/// [SDM 3C 28.2.2 "EPT Translation Mechanism", Table 28-2]: maps a page of 1 GByte.
struct PdpteThatMaps {
    std::uint64_t read : 1 {};
    std::uint64_t write : 1 {};
    std::uint64_t execute : 1 {};
    std::uint64_t memory_type : 3 {};
    std::uint64_t ignore_pat : 1 {};
    std::uint64_t maps_page : 1 {};  ///< 1
    std::uint64_t accessed : 1 {};
    std::uint64_t dirty : 1 {};
    std::uint64_t user_execute : 1 {};
    std::uint64_t ignored_11 : 1 {};
    std::uint64_t reserved_29_12 : 18 {};
    std::uint64_t frame : 22 {};  ///< in units of 1 GByte
    std::uint64_t ignored_62_52 : 11 {};
    std::uint64_t suppress_virtualization_exception : 1 {};
};
static_assert(sizeof(PdpteThatMaps) == sizeof(std::uint64_t));

/// [SDM 3C 28.2.2 "EPT Translation Mechanism", Table 28-3]: references a page directory.
struct PdpteThatReferences {
    std::uint64_t read : 1 {};
    std::uint64_t write : 1 {};
    std::uint64_t execute : 1 {};
    std::uint64_t reserved_6_3 : 4 {};
    std::uint64_t maps_page : 1 {};  ///< 0
    std::uint64_t accessed : 1 {};
    std::uint64_t ignored_9 : 1 {};
    std::uint64_t user_execute : 1 {};
    std::uint64_t ignored_11 : 1 {};
    std::uint64_t frame : 40 {};
    std::uint64_t ignored_63_52 : 12 {};
};
static_assert(sizeof(PdpteThatReferences) == sizeof(std::uint64_t));

/// [SDM 3C 28.2.2 "EPT Translation Mechanism", Table 28-4]: maps a page of 2 MBytes.
struct PdeThatMaps {
    std::uint64_t read : 1 {};
    std::uint64_t write : 1 {};
    std::uint64_t execute : 1 {};
    std::uint64_t memory_type : 3 {};
    std::uint64_t ignore_pat : 1 {};
    std::uint64_t maps_page : 1 {};  ///< 1
    std::uint64_t accessed : 1 {};
    std::uint64_t dirty : 1 {};
    std::uint64_t user_execute : 1 {};
    std::uint64_t ignored_11 : 1 {};
    std::uint64_t reserved_20_12 : 9 {};
    std::uint64_t frame : 31 {};  ///< in units of 2 MBytes
    std::uint64_t ignored_62_52 : 11 {};
    std::uint64_t suppress_virtualization_exception : 1 {};
};
static_assert(sizeof(PdeThatMaps) == sizeof(std::uint64_t));

/// [SDM 3C 28.2.2 "EPT Translation Mechanism", Table 28-5]: references a page table. Bit for bit
/// the same as the entry one level above.
using PdeThatReferences = PdpteThatReferences;

/// [SDM 3C 28.2.2 "EPT Translation Mechanism", Table 28-6]: maps a page of 4 KBytes.
struct PageTableEntry {
    std::uint64_t read : 1 {};
    std::uint64_t write : 1 {};
    std::uint64_t execute : 1 {};
    std::uint64_t memory_type : 3 {};
    std::uint64_t ignore_pat : 1 {};
    std::uint64_t ignored_7 : 1 {};
    std::uint64_t accessed : 1 {};
    std::uint64_t dirty : 1 {};
    std::uint64_t user_execute : 1 {};
    std::uint64_t ignored_11 : 1 {};
    std::uint64_t frame : 40 {};
    std::uint64_t ignored_62_52 : 11 {};
    std::uint64_t suppress_virtualization_exception : 1 {};
};
static_assert(sizeof(PageTableEntry) == sizeof(std::uint64_t));

/// How a page is cached.
/// [SDM 3C 28.2.6.2 "Memory Type Used for Translated Guest-Physical Addresses"]
using arch::MemoryType;

/// What an entry allows; a walk allows what all of its entries allow.
struct Rights {
    bool read{};
    bool write{};
    bool execute{};

    friend constexpr bool operator==(Rights, Rights) = default;
    friend constexpr Rights operator&(Rights a, Rights b) {
        return {.read = a.read && b.read,
                .write = a.write && b.write,
                .execute = a.execute && b.execute};
    }
    friend constexpr Rights operator|(Rights a, Rights b) {
        return {.read = a.read || b.read,
                .write = a.write || b.write,
                .execute = a.execute || b.execute};
    }
    /// An entry without any right is "not present".
    [[nodiscard]] constexpr bool any() const { return read || write || execute; }
};
inline constexpr Rights everything{.read = true, .write = true, .execute = true};
inline constexpr Rights read_only{.read = true};
inline constexpr Rights read_write{.read = true, .write = true};
inline constexpr Rights read_execute{.read = true, .execute = true};
inline constexpr Rights execute_only{.execute = true};

/// The levels of a walk, counted from the bottom, as the number of 9-bit indexes that are left.
enum class Level : std::uint8_t { page_table = 1, directory = 2, pointers = 3, pml4 = 4 };

[[nodiscard]] constexpr Level below(Level level) {
    return static_cast<Level>(static_cast<std::uint8_t>(level) - 1);
}

[[nodiscard]] constexpr Level above(Level level) {
    return static_cast<Level>(static_cast<std::uint8_t>(level) + 1);
}

/// How many bytes of guest-physical memory one entry of this level controls.
[[nodiscard]] constexpr std::uint64_t bytes_of_entry(Level level) {
    return arch::page_bytes << 9 * (static_cast<unsigned>(level) - 1);
}

inline constexpr std::size_t entries_of_table = 512;

/// Four levels translate 48 bits.
inline constexpr std::uint64_t guest_physical_end = 1ULL << 48;

/// Which entry of a table of this level the address uses.
[[nodiscard]] constexpr std::size_t index_at(Level level, std::uint64_t address) {
    return address / bytes_of_entry(level) % entries_of_table;
}

/// What a page is, whatever its size: where it leads, what may be done, how it is cached.
struct Leaf {
    arch::HostPhysicalAddress physical{0};
    Rights rights{};
    MemoryType type{MemoryType::write_back};

    friend constexpr bool operator==(const Leaf&, const Leaf&) = default;
};

/// An entry of any kind, read together with its level. The bits that all kinds share have names
/// here; Tables 28-1 to 28-6 above say why they are where they are.
class Entry {
public:
    constexpr Entry() = default;
    constexpr explicit Entry(std::uint64_t raw) : raw_{raw} {}

    /// An entry that maps a page. At the last level bit 7 is ignored, and left clear.
    [[nodiscard]] static constexpr Entry mapping(Level level, const Leaf& leaf) {
        return Entry{leaf.physical.raw() | bits_of(leaf.rights) |
                     static_cast<std::uint64_t>(leaf.type) << 3 |
                     (level == Level::page_table ? 0 : maps_page_bit)};
    }

    /// An entry that references a table. It allows everything: the last level decides about rights.
    [[nodiscard]] static constexpr Entry referencing(arch::HostPhysicalAddress table) {
        return Entry{table.raw() | bits_of(everything)};
    }

    [[nodiscard]] constexpr std::uint64_t raw() const { return raw_; }
    [[nodiscard]] constexpr Rights rights() const {
        return {.read = (raw_ & 1) != 0, .write = (raw_ & 2) != 0, .execute = (raw_ & 4) != 0};
    }
    [[nodiscard]] constexpr bool is_present() const { return rights().any(); }
    /// Whether a walk that meets this entry ends here with a page.
    [[nodiscard]] constexpr bool maps_page(Level level) const {
        return is_present() && (level == Level::page_table ||
                                (level != Level::pml4 && (raw_ & maps_page_bit) != 0));
    }
    [[nodiscard]] constexpr bool references_table(Level level) const {
        return is_present() && !maps_page(level);
    }
    /// Bits 51:12.
    [[nodiscard]] constexpr arch::HostPhysicalAddress address() const {
        return arch::HostPhysicalAddress{raw_ & address_bits};
    }
    /// Bits 5:3. The value may be a reserved one.
    [[nodiscard]] constexpr std::uint8_t memory_type_bits() const { return raw_ >> 3 & 7; }
    [[nodiscard]] constexpr bool ignores_pat() const { return (raw_ & 1U << 6) != 0; }
    [[nodiscard]] constexpr bool accessed() const { return (raw_ & 1U << 8) != 0; }
    [[nodiscard]] constexpr bool dirty() const { return (raw_ & 1U << 9) != 0; }
    /// Needs    an entry that maps a page of this level
    [[nodiscard]] constexpr Leaf leaf(Level level) const {
        return {.physical =
                    arch::HostPhysicalAddress{raw_ & address_bits & ~(bytes_of_entry(level) - 1)},
                .rights = rights(),
                .type = static_cast<MemoryType>(memory_type_bits())};
    }

    /// The entry one level above, of which this one is the first part.
    ///
    /// Needs    an entry that maps a page of this level
    [[nodiscard]] constexpr Entry whole() const { return Entry{raw_ | maps_page_bit}; }

    /// The same without the accessed and the dirty flag, which the processor may set at any time.
    [[nodiscard]] constexpr Entry without_flags() const { return Entry{raw_ & ~flag_bits}; }
    [[nodiscard]] constexpr Entry with_flags_of(Entry other) const {
        return Entry{raw_ | (other.raw_ & flag_bits)};
    }

    /// Marks of this VMM, in bits that the processor ignores in each kind of entry.
    enum class Mark : std::uint64_t {
        pinned = 1ULL << 52,          ///< stays as it is when the memory types around it change
        of_view = 1ULL << 53,         ///< private to a view: it differs from the base on purpose
        execution_held = 1ULL << 54,  ///< execute is off for a while: see `Tables::hold_execution`
    };
    [[nodiscard]] constexpr bool has(Mark mark) const {
        return (raw_ & static_cast<std::uint64_t>(mark)) != 0;
    }
    [[nodiscard]] constexpr Entry marked(Mark mark) const {
        return Entry{raw_ | static_cast<std::uint64_t>(mark)};
    }

    /// The entry with execute off, and a mark that it was on; the same where it was off.
    [[nodiscard]] constexpr Entry held() const {
        return rights().execute ? Entry{raw_ & ~execute_bit}.marked(Mark::execution_held) : *this;
    }
    /// What a held entry was, and is meant to be again.
    [[nodiscard]] constexpr Entry released() const {
        constexpr auto mark = static_cast<std::uint64_t>(Mark::execution_held);
        return has(Mark::execution_held) ? Entry{(raw_ & ~mark) | execute_bit} : *this;
    }

    /// The entry one level below that means the same for the part number `index` of this page:
    /// every bit stays, but for the address and for bit 7, which a page-table entry does not have.
    ///
    /// Needs    an entry that maps a page of this level
    [[nodiscard]] constexpr Entry part(Level level, std::size_t index) const {
        const Level next = below(level);
        const std::uint64_t physical = leaf(level).physical.raw() + index * bytes_of_entry(next);
        const std::uint64_t gone = address_bits | (next == Level::page_table ? maps_page_bit : 0);
        return Entry{(raw_ & ~gone) | physical};
    }

    friend constexpr bool operator==(Entry, Entry) = default;

private:
    static constexpr std::uint64_t execute_bit = 1U << 2;
    static constexpr std::uint64_t flag_bits = 3U << 8;
    static constexpr std::uint64_t maps_page_bit = 1U << 7;
    static constexpr std::uint64_t address_bits = 0x000F'FFFF'FFFF'F000;

    [[nodiscard]] static constexpr std::uint64_t bits_of(Rights rights) {
        return (rights.read ? 1U : 0U) | (rights.write ? 2U : 0U) | (rights.execute ? 4U : 0U);
    }

    std::uint64_t raw_{};
};
static_assert(sizeof(Entry) == sizeof(std::uint64_t));

}  // namespace hvp::ept
