// The guests of this stage: three small programs that use as few pages as they can, and the
// function that they call.
//
// Each function lies in a section of its own, and so on a page of its own: what an EPT gives or
// takes, it gives or takes by pages.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/instructions.hpp"
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

// All that these programs use is inlined, as whatever is not would lie on a page that the guest
// does not have.

/// Returns  whether the VMM has done it
[[gnu::always_inline]] inline bool ask(Call call) {
    return arch::vmcall(static_cast<std::uint64_t>(call), 0).rax ==
           static_cast<std::uint64_t>(vmx::HypercallStatus::success);
}

[[noreturn, gnu::always_inline]] inline void stop() {
    (void)arch::vmcall(static_cast<std::uint64_t>(vmx::Hypercall::stop), 0);
    for (;;) {
        arch::hlt();
    }
}

inline constexpr std::size_t words_of_page = arch::page_bytes / sizeof(std::uint64_t);

/// A sum over a page in which the place of each word counts.
[[nodiscard, gnu::always_inline]] inline std::uint64_t sum_of_page(
    const volatile std::uint64_t* page) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < words_of_page; ++i) {
        sum = sum * 31 + page[i];
    }
    return sum;
}

/// Uses its code, its stack, its data and the target, in this order, and stops.
[[noreturn]] void touch_everything(void* guest_data);
/// Calls the target while the VMM changes what its page leads to.
[[noreturn]] void see_both(void* guest_data);
/// Reads a page that it was not given.
[[noreturn]] void look_outside(void* guest_data);

[[nodiscard]] std::uint64_t target();
[[nodiscard]] std::uint64_t other();

}  // namespace hvp::ept_stage
