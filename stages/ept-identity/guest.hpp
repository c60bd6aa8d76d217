// The guest of this stage: a program that has all of memory and looks at what is strange about it.
//
// What has two faces is a page, not a function: the function lies in a section of its own, and so
// on a page of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/exits/hypercall.hpp"

namespace hvp::identity_stage {

/// What the guest may ask of this stage's VMM.
enum class Call : std::uint64_t {
    install_hook = vmx::first_call_of_stage,  ///< the target's page gets its code face
    remove_hook,                              ///< … and loses it again
    watch,      ///< the large page of `watched` is cut, and what is touched is noted from now on
    end_watch,  ///< … and made whole again
};

/// What the functions return.
inline constexpr std::uint64_t answer_of_target = 0xAA;
inline constexpr std::uint64_t answer_of_other = 0xBB;

/// How many pages are watched. The guest reads the first and the last, and writes to the second and
/// the last; the third it leaves alone.
inline constexpr std::size_t watched_pages = 4;

inline constexpr std::size_t words_of_page = arch::page_bytes / sizeof(std::uint64_t);

/// Where in the target's page the guest writes: behind the functions.
inline constexpr std::size_t written_word = words_of_page / 2;

/// What the guest found. Zero: it did not come so far.
struct Findings {
    std::uint64_t clock_ticked{};  ///< an interrupt came, and was handled, while it ran
    // Two faces.
    std::uint64_t accepted{};
    std::uint64_t sum_before{};
    std::uint64_t call_before{};
    std::array<std::uint64_t, 2> sums{};
    std::array<std::uint64_t, 2> calls{};
    std::uint64_t self_read{};     ///< by an instruction of the code face, of the page it lies on
    std::uint64_t written_read{};  ///< after a write: what is read there …
    std::uint64_t call_written{};  ///< … and what a call gives
    std::uint64_t sum_after{};
    std::uint64_t call_after{};
    // The VMM's memory.
    std::uint64_t hidden_words{};
    std::uint64_t hidden_not_zero{};
    // An MTRR.
    std::uint64_t mtrr_was_free{};
    std::uint64_t finished{};
};

/// The guest's data.
struct GuestData {
    const volatile std::uint32_t* clock{};  ///< the system's count of clock interrupts
    std::uint64_t (*target)(){};
    std::uint64_t (*self_reader)(){};  ///< at the target's page; only the code face has it
    volatile std::uint64_t* target_page{};
    volatile std::uint64_t* watched{};
    const volatile std::uint64_t* hidden{};
    std::uint64_t hidden_words{};
    std::uint32_t mtrr{};  ///< the base of the last variable range; its mask is the next
    std::uint64_t mtrr_base{};
    std::uint64_t mtrr_mask{};
    Findings found{};
};

/// A sum over a page in which the place of each word counts.
[[nodiscard]] inline std::uint64_t sum_of_page(const volatile std::uint64_t* page) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < words_of_page; ++i) {
        sum = (sum << 1 | sum >> 63) + page[i];
    }
    return sum;
}

/// The guest. `guest_data` is a GuestData.
void explore(void* guest_data);

/// The function whose page has two faces.
std::uint64_t target();

/// What runs there: two functions, the second one at `self_reader_offset`. They are data, as far as
/// the guest's page tables are concerned: nobody executes them where they lie.
extern const std::array<std::uint8_t, arch::page_bytes> code_face;
inline constexpr std::size_t self_reader_offset = 64;

}  // namespace hvp::identity_stage
