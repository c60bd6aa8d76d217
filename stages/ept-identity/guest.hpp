// The guest of this stage: a program that has all of memory and looks at what its VMM changes.
//
// A page is split, not a function: the function lies in a section of its own, and so on a page of
// its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/exits/hypercall.hpp"
#include "hypervisor/vcpu/exit_path.hpp"
#include "stages/shared/guest_calls.hpp"

namespace hvp::identity_stage {

using stages::words_of_page;

/// What the guest may ask of this stage's VMM.
enum class Call : std::uint64_t {
    install_hook = vmx::first_call_of_stage,  ///< the target's page is split: data and code view
    remove_hook,                              ///< … and is one page again
    watch,      ///< the large page of `watched` is split; accesses are recorded from now on
    end_watch,  ///< … and merged again
};

/// What the functions return.
inline constexpr std::uint64_t answer_of_target = 0xAA;
inline constexpr std::uint64_t answer_of_other = 0xBB;

/// How many pages are watched. The guest reads the first and the last, and writes to the second and
/// the last; the third it leaves alone.
inline constexpr std::size_t watched_pages = 4;

/// A range for an MTRR, far from everything, and below what every processor has.
inline constexpr std::uint64_t mtrr_range = 1ULL << 35;

/// Where in the target's page the guest writes: after the functions.
inline constexpr std::size_t written_word = words_of_page / 2;

/// What the guest found. Zero: it did not come so far.
struct Findings {
    std::uint64_t clock_ticked{};  ///< an interrupt came, and was handled, while it ran
    // The split page.
    std::uint64_t accepted{};
    std::uint64_t sum_before{};
    std::uint64_t call_before{};
    std::array<std::uint64_t, 2> sums{};
    std::array<std::uint64_t, 2> calls{};
    std::uint64_t self_read{};     ///< by an instruction of the code view, of the page it lies on
    std::uint64_t written_read{};  ///< after a write: what is read there …
    std::uint64_t call_written{};  ///< … and what a call gives
    std::uint64_t sum_after{};
    std::uint64_t call_after{};
    // The VMM's memory.
    std::uint64_t hidden_words{};
    std::uint64_t hidden_not_zero{};
    // An MTRR.
    std::uint64_t mtrr_was_free{};
    std::uint64_t mtrr_reads_back{};
    std::uint64_t finished{};
};

/// The guest's data.
struct GuestData {
    const volatile std::uint32_t* clock{};  ///< the system's count of clock interrupts
    const volatile bool* departed{};        ///< there is no VMM any more. In the guest it reads 0
    vmx::VmmFrame* frame{};                 ///< of the VMM, for the way back then
    std::uint64_t (*target)(){};
    std::uint64_t (*self_reader)(){};  ///< at the target's page; only the code view has it
    const volatile std::uint64_t* target_page{};
    volatile std::uint64_t* target_alias{};  ///< the same page where it can be written
    volatile std::uint64_t* watched{};
    const volatile std::uint64_t* hidden{};
    std::uint64_t hidden_words{};
    std::uint32_t mtrr{};  ///< the base of the last variable range; its mask is the next
    std::uint64_t mtrr_base{};
    std::uint64_t mtrr_mask{};
    Findings found{};
};

/// The guest. `guest_data` is a GuestData.
void explore(void* guest_data);

/// The function whose page is split.
std::uint64_t target();

/// What runs there: two functions, the second one at `self_reader_offset`. They are data, as far as
/// the guest's page tables are concerned: they are not executed where they lie.
extern const std::array<std::uint8_t, arch::page_bytes> code_page;
inline constexpr std::size_t self_reader_offset = 64;

}  // namespace hvp::identity_stage
