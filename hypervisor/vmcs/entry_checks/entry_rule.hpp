// What a rule of VM entry consists of, and the forms that many of them share.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hypervisor/arch/bits.hpp"
#include "hypervisor/vmcs/citation.hpp"
#include "hypervisor/vmcs/entry_checks/vmcs_under_test.hpp"

namespace hvp::vmx::checks {

/// Whether a rule is broken, and by which bits of its first field, where bits can be blamed.
struct CheckResult {
    bool broken{};
    std::uint64_t wrong_bits{};
};
inline constexpr CheckResult holds{};

[[nodiscard]] constexpr CheckResult broken_if(bool wrong) {
    return {.broken = wrong};
}
/// Broken if there are any.
[[nodiscard]] constexpr CheckResult broken_by(std::uint64_t wrong_bits) {
    return {.broken = wrong_bits != 0, .wrong_bits = wrong_bits};
}

/// The items that a rule depends on; the first is the one that breaks it.
struct Items {
    std::array<Item, 4> items{};
    std::size_t count{};

    [[nodiscard]] constexpr std::span<const Item> all() const { return {items.data(), count}; }
};
template <typename... Things>
[[nodiscard]] constexpr Items fields(Things... things) {
    static_assert(sizeof...(Things) <= 4);
    return {.items = {item(things)...}, .count = sizeof...(Things)};
}
/// The field of one segment register, as an item.
template <typename F>
[[nodiscard]] constexpr Item of(F first, SegmentIndex segment) {
    return {Item::Kind::field, nth(first, segment)};
}
[[nodiscard]] constexpr Item item(Item one) {
    return one;
}

using Check = CheckResult (*)(VmcsUnderTest&);

/// One rule of the SDM's chapter 26. In `id` a "{}" stands for `subject`, for rules that are the
/// same for several registers. What the rule says in words is in hypervisor/vmcs/names/rule_texts:
/// a VMM that checks a VMCS carries no texts.
struct EntryRule {
    const char* id;
    const Citation* section;
    Check check;
    Items items;
    const char* subject{""};
    bool is_newer{};  ///< not in the edition that we cite; the section is where it stands later
};

/// Several arrays, one after the other.
template <typename T, std::size_t... sizes>
[[nodiscard]] constexpr auto joined(const std::array<T, sizes>&... parts) {
    std::array<T, (std::size_t{0} + ... + sizes)> all{};
    auto end = all.begin();
    ((end = std::ranges::copy(parts, end).out), ...);
    return all;
}

// Short names for what nearly all rules use.
using arch::Msr;
using Pin = PinControl;
using Primary = PrimaryControl;
using Secondary = SecondaryControl;

// ---- Conditions -------------------------------------------------------------------------------

/// Whether a control is 1, as a function: what a check may depend on.
template <auto control>
[[nodiscard]] bool when(VmcsUnderTest& x) {
    return x.has(control);
}

[[nodiscard]] inline bool always(VmcsUnderTest&) {
    return true;
}

[[nodiscard]] inline bool is_64_bit_processor(VmcsUnderTest& x) {
    return x.is(Fact::has_intel_64);
}

// ---- Forms ------------------------------------------------------------------------------------

using arch::bit;
using arch::bits;

/// These bits of the field must be 0.
template <auto applies, auto field, std::uint64_t mask>
[[nodiscard]] CheckResult clear(VmcsUnderTest& x) {
    return applies(x) ? broken_by(x.raw(field) & mask) : holds;
}

/// The field, a physical address, must not have bits that the processor lacks.
template <auto applies, auto field>
[[nodiscard]] CheckResult within_width(VmcsUnderTest& x) {
    return applies(x) ? broken_by(x.beyond_width(x.raw(field))) : holds;
}

/// The field must be a canonical address.
template <auto applies, auto field>
[[nodiscard]] CheckResult canonical(VmcsUnderTest& x) {
    return broken_if(applies(x) && !x.is_canonical(x.raw(field)));
}

/// A control needs another one: with the first at 1 the second must be 1. The word of controls that
/// holds the first is what is wrong.
template <auto control, auto needed>
[[nodiscard]] CheckResult needs(VmcsUnderTest& x) {
    return x.has(control) && !x.has(needed) ? broken_by(static_cast<std::uint64_t>(control))
                                            : holds;
}

/// Controls that the processor insists on: a 1 in the lower half of the capability MSR.
template <auto field, Msr plain, Msr true_capability>
[[nodiscard]] CheckResult ones_as_demanded(VmcsUnderTest& x) {
    return broken_by(x.capability(plain, true_capability).must_be_one & ~x.raw(field));
}

/// Controls that the processor lacks: a 0 in the upper half.
template <auto field, Msr plain, Msr true_capability>
[[nodiscard]] CheckResult no_others(VmcsUnderTest& x) {
    return broken_by(x.raw(field) &
                     ~std::uint64_t{x.capability(plain, true_capability).may_be_one});
}

/// One of the areas that hold MSRs: the last byte of its last entry, 16 bytes each, must be within
/// the processor's addresses, too. An address that is itself outside breaks another rule.
template <auto count, auto address>
[[nodiscard]] CheckResult last_byte_within_width(VmcsUnderTest& x) {
    constexpr std::uint64_t entry_bytes = 16;
    const std::uint64_t entries = x.raw(count);
    if (entries == 0) {
        return holds;
    }
    const std::uint64_t first = x.raw(address);
    const std::uint64_t last = first + entries * entry_bytes - 1;
    return broken_if(x.beyond_width(first) == 0 && x.beyond_width(last) != 0);
}
template <auto count>
[[nodiscard]] bool has_entries(VmcsUnderTest& x) {
    return x.raw(count) != 0;
}

}  // namespace hvp::vmx::checks
