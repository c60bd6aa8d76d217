// What the guests of the EPT stages do: they ask their VMM for something, and sum pages up.
//
// All of it is inlined, as whatever is not would lie on a page that a guest may not have.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/exits/hypercall.hpp"

namespace hvp::stages {

/// Returns  whether the VMM has done it
template <typename Call>
[[gnu::always_inline]] inline bool ask(Call call) {
    return arch::vmcall(static_cast<std::uint64_t>(call), 0).rax ==
           static_cast<std::uint64_t>(vmx::HypercallStatus::success);
}

/// Asks the VMM to end the guest.
[[noreturn, gnu::always_inline]] inline void stop() {
    (void)arch::vmcall(static_cast<std::uint64_t>(vmx::Hypercall::stop), 0);
    for (;;) {
        arch::hlt();  // never reached; and if it is, it is an exit
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

}  // namespace hvp::stages
