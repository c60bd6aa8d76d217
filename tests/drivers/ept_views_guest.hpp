// The guests of ept_views.cpp, and the pages that they look at.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "hypervisor/arch/address.hpp"

namespace hvp::tests {

inline constexpr std::uint64_t all_rounds = 1000;
inline constexpr std::uint64_t clock_ticks = 20;
inline constexpr std::uint64_t answer_of_code = 0xBB;

/// Two pages in a row with two faces; `data_face` is where they are, `code_face` what runs there.
void data_face();
void code_face();

/// Functions of the code face, by their place in the first page.
namespace place {
inline constexpr std::size_t answer = 0;
inline constexpr std::size_t read_page = 64;    ///< reads the first word of its own page
inline constexpr std::size_t write_page = 128;  ///< writes RCX to RDX, a place on its own page
inline constexpr std::size_t spin = 192;        ///< until the word at RCX is no longer EDX
/// An instruction that lies on both pages, and reads the first word of the first one.
inline constexpr std::size_t crossing = arch::page_bytes - 3;
}  // namespace place

/// What one guest found, and what it is given. The guest may see it.
struct Seat {
    std::uint32_t number{};
    std::uint64_t rounds{};              ///< of each kind
    volatile std::uint64_t* writable{};  ///< the first page of the two, mapped once more
    std::uint64_t turns{};               ///< read, called, wrote and read: all right
    std::uint64_t reads{};               ///< by instructions of the page itself
    std::uint64_t writes{};
    std::uint64_t crossings{};
    std::uint64_t spans{};  ///< operands on both pages
    std::uint64_t ticks{};
    // The scan: of physical memory, for two pairs of words in a row whose complements are given.
    std::array<std::pair<std::uint64_t, std::uint64_t>, 2> complements{};
    std::array<std::uint64_t, 2> found{};
    std::uint64_t cr3{};  ///< page tables with all of memory at `memory`
    const volatile std::uint64_t* memory{};
    std::uint64_t words{};
    std::uint64_t scanned{};
};

/// `rounds` turns of each kind.
void take_turns(void* seat);
/// Waits for clock interrupts in the code view, on a stack that has two faces.
void wait_for_clock(void* seat);
/// Reads all of memory.
void scan(void* seat);

}  // namespace hvp::tests
