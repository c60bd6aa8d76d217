// The names in one of the SDM's tables of numbers, which have gaps.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hvp::vmx {

/// The name with this number of `count` that stand one behind the other, each with its end mark.
[[nodiscard, gnu::noinline]] constexpr const char* nth_name(const char* names, std::uint32_t count,
                                                            std::uint32_t number) {
    if (number >= count) {
        return "unknown";
    }
    const char* name = names;
    for (std::uint32_t to_skip = number; to_skip != 0; to_skip -= *name++ == '\0' ? 1 : 0) {
    }
    return *name != '\0' ? name : "unknown";  // a gap is an end mark alone
}

/// PackedNames as a driver carries them. Pointers, and the relocations that these would need, would
/// take as much room as the names.
template <std::uint32_t count, std::size_t bytes>
struct PackedNames {
    std::array<char, bytes> text{};

    [[nodiscard]] static constexpr std::uint32_t size() { return count; }

    /// "unknown" beyond the table and in its gaps.
    [[nodiscard]] constexpr const char* of(std::uint32_t number) const {
        return nth_name(text.data(), count, number);
    }
};

/// The names of `table()`, an array of views in which the number is the index.
template <auto table>
[[nodiscard]] consteval auto packed_names() {
    constexpr std::size_t bytes = [] {
        std::size_t sum = 0;
        for (const std::string_view name : table()) {
            sum += name.size() + 1;
        }
        return sum;
    }();
    PackedNames<table().size(), bytes> names;
    auto end = names.text.begin();
    for (const std::string_view name : table()) {
        end = std::ranges::copy(name, end).out + 1;
    }
    return names;
}

}  // namespace hvp::vmx
