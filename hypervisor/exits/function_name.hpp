// What a function is called in the source, as text: so the trace need not repeat names.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace hvp::vmx {
namespace detail {

/// clang ends the text with `… = &hvp::vmx::on_hlt]`, without template arguments.
template <auto function>
[[nodiscard]] constexpr std::string_view name_in_full() {
    constexpr std::string_view text = __PRETTY_FUNCTION__;
    constexpr std::size_t start = text.find_last_of(":&") + 1;
    static_assert(text.ends_with(']') && start > 1, "clang writes it otherwise");
    return text.substr(start, text.size() - start - 1);
}

}  // namespace detail

/// The function's own name, zero-terminated.
template <auto function>
inline constexpr auto function_name = [] {
    constexpr std::string_view name = detail::name_in_full<function>();
    std::array<char, name.size() + 1> text{};
    for (std::size_t i = 0; i < name.size(); ++i) {
        text[i] = name[i];
    }
    return text;
}();

}  // namespace hvp::vmx
