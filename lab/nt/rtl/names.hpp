// Names in counted wide text: paths of objects and keys, names of values.
#pragma once

#include <algorithm>
#include <string_view>

#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::rtl {

[[nodiscard]] inline std::u16string_view view_of(const UnicodeString& text) {
    return {text.buffer, text.length / sizeof(char16_t)};
}

/// Only the letters A to Z are converted.
[[nodiscard]] constexpr char16_t lower_case(char16_t character) {
    return character >= u'A' && character <= u'Z' ? static_cast<char16_t>(character + 32)
                                                  : character;
}

/// Whether two names are the same but for the case of their letters, as names of Windows are.
[[nodiscard]] inline bool is_same_name(std::u16string_view left, std::u16string_view right) {
    return std::ranges::equal(left, right, {}, lower_case, lower_case);
}

/// [Windows: OBJECT_ATTRIBUTES structure]
struct ObjectAttributes {
    std::uint32_t length{};
    std::uint64_t root_directory{};
    const UnicodeString* name{};
    std::uint32_t attributes{};
    void* security_descriptor{};
    void* security_quality_of_service{};
};
static_assert(sizeof(ObjectAttributes) == 0x30);

inline constexpr std::uint32_t object_kernel_handle = 0x200;  // OBJ_KERNEL_HANDLE

}  // namespace hvp::lab::rtl
