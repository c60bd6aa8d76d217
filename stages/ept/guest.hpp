// The guests of this stage: three small programs that use as few pages as they can, and the
// function that they call.
//
// They run with interrupts off. An interrupt would need Windows' handlers and all that they use,
// and that is nearly all of Windows. What an exception or an NMI needs to reach the first
// instruction of a handler is mapped: GDT, IDT, TSS. The handler is not, so the guest is stopped
// there, and the events name the place.
//
// Each function lies in a section of its own, and so on a page of its own: what an EPT gives or
// takes, it gives or takes by pages.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/exits/hypercall.hpp"

namespace hvp::ept_stage {

/// What the guest may ask of this stage's VMM.
enum class Call : std::uint64_t {
    redirect = vmx::first_call_of_stage,  ///< the target's page leads to the other function
    put_back,                             ///< … to the target again
    split,                                ///< reads see one page, execution another
    join,                                 ///< both the same again
};

/// What the functions return.
inline constexpr std::uint64_t answer_of_target = 0xAA;
inline constexpr std::uint64_t answer_of_other = 0xBB;

/// What the guest found. Zero: it did not come so far.
struct Findings {
    // The empty EPT.
    std::uint64_t touched{};
    // Redirection: three calls of the same function.
    std::uint64_t before{};
    std::uint64_t redirected{};
    std::uint64_t after{};
    // The splitting attack: what was read on the function's page, summed up, and what calls gave.
    std::uint64_t split_was_accepted{};
    std::array<std::uint64_t, 2> sums{};
    std::array<std::uint64_t, 2> calls{};
    std::uint64_t sum_after{};
    std::uint64_t call_after{};
    // Outside.
    std::uint64_t came_back_from_outside{};
};

/// The guest's only data; a page of its own.
struct alignas(arch::page_bytes) GuestData {
    std::uint64_t (*target)(){};
    const volatile std::uint64_t* target_page{};
    const volatile std::uint64_t* outside{};
    Findings found{};
};

// What these programs call is inlined; see stages/shared/guest_calls.hpp.

/// Uses its code, its stack, its data and the target, in this order, and stops.
[[noreturn]] void touch_everything(void* guest_data);
/// Calls the target while the VMM changes what its page leads to.
[[noreturn]] void see_both(void* guest_data);
/// Reads a page that it was not given.
[[noreturn]] void look_outside(void* guest_data);

[[nodiscard]] std::uint64_t target();
[[nodiscard]] std::uint64_t other();

}  // namespace hvp::ept_stage
