// Names of exception codes, for reports of unhandled exceptions.  [Windows: NTSTATUS Values]
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace hvp::lab::ke {

struct ExceptionName {
    std::uint32_t code{};
    std::string_view name{};
};

inline constexpr auto exception_names = std::to_array<ExceptionName>({
    {0x8000'0002, "STATUS_DATATYPE_MISALIGNMENT"},
    {0x8000'0003, "STATUS_BREAKPOINT"},
    {0x8000'0004, "STATUS_SINGLE_STEP"},
    {0xC000'0005, "STATUS_ACCESS_VIOLATION"},
    {0xC000'001D, "STATUS_ILLEGAL_INSTRUCTION"},
    {0xC000'0046, "STATUS_MUTANT_NOT_OWNED"},
    {0xC000'008C, "STATUS_ARRAY_BOUNDS_EXCEEDED"},
    {0xC000'0090, "STATUS_FLOAT_INVALID_OPERATION"},
    {0xC000'0094, "STATUS_INTEGER_DIVIDE_BY_ZERO"},
    {0xC000'0095, "STATUS_INTEGER_OVERFLOW"},
    {0xC000'009A, "STATUS_INSUFFICIENT_RESOURCES"},
    {0xC000'02B5, "STATUS_FLOAT_MULTIPLE_TRAPS"},
    {0xC000'0420, "STATUS_ASSERTION_FAILURE"},
});

/// Empty for a code that is not in the table.
[[nodiscard]] constexpr std::string_view name_of_exception(std::uint32_t code) {
    const auto* found = std::ranges::find(exception_names, code, &ExceptionName::code);
    return found != exception_names.end() ? found->name : std::string_view{};
}

}  // namespace hvp::lab::ke
