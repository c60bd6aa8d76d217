// A rule of VM entry in words, for people.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"

namespace hvp::vmx::checks {

/// What a rule says. In each text a "{}" stands for the rule's `subject`.
struct RuleText {
    const char* id;        ///< the rule's
    const char* sentence;  ///< what must be so
    const char* remedy;    ///< what to write instead, and why the processor requires it
};

/// The same texts for several registers, in the order of the rules.
template <std::size_t times, std::size_t size>
[[nodiscard]] constexpr auto repeated(const std::array<RuleText, size>& texts) {
    std::array<RuleText, times * size> all{};
    for (std::size_t i = 0; i < all.size(); ++i) {
        all[i] = texts[i % size];
    }
    return all;
}

}  // namespace hvp::vmx::checks
