// What the paging structures consist of.
#pragma once

#include <cstdint>

namespace hvp::arch {

/// An entry of any of the four levels; at the last but one, `large` ends the walk.
/// [SDM 3A 4.5 "4-Level Paging and 5-Level Paging"], tables 4-15 to 4-20
struct PageTableEntry {
    std::uint64_t present : 1 {};
    std::uint64_t writable : 1 {};
    std::uint64_t user : 1 {};
    std::uint64_t write_through : 1 {};
    std::uint64_t cache_disable : 1 {};
    std::uint64_t accessed : 1 {};
    std::uint64_t dirty : 1 {};
    std::uint64_t large : 1 {};
    std::uint64_t global : 1 {};
    std::uint64_t ignored_11_9 : 3 {};
    std::uint64_t frame : 40 {};
    std::uint64_t ignored_62_52 : 11 {};
    std::uint64_t execute_disable : 1 {};
};
static_assert(sizeof(PageTableEntry) == sizeof(std::uint64_t));

}  // namespace hvp::arch
