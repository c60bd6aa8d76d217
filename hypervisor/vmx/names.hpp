// Looking up a name in one of the SDM's tables that have gaps.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hvp::vmx {

/// The name of a number, which is the index; "unknown" beyond the table and in its gaps.
template <std::size_t count>
[[nodiscard]] constexpr const char* name_of(const std::array<const char*, count>& names,
                                            std::uint32_t number) {
    const char* const name = number < names.size() ? names[number] : nullptr;
    return name != nullptr ? name : "unknown";
}

}  // namespace hvp::vmx
