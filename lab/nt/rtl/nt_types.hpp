// NT's own types, as far as the kernel's interface to drivers uses them.
#pragma once

#include <cstdint>

namespace hvp::lab::rtl {

/// Severity in bits 31:30; negative is a failure.  [Windows: NTSTATUS Values]
using NtStatus = std::int32_t;

inline constexpr NtStatus status_success = 0;
inline constexpr NtStatus status_timeout = 0x102;
inline constexpr NtStatus status_buffer_overflow = static_cast<NtStatus>(0x80000005);
inline constexpr NtStatus status_access_violation = static_cast<NtStatus>(0xC0000005);
inline constexpr NtStatus status_invalid_handle = static_cast<NtStatus>(0xC0000008);
inline constexpr NtStatus status_invalid_cid = static_cast<NtStatus>(0xC000000B);
inline constexpr NtStatus status_invalid_parameter = static_cast<NtStatus>(0xC000000D);
inline constexpr NtStatus status_invalid_device_request = static_cast<NtStatus>(0xC0000010);
inline constexpr NtStatus status_not_mapped_view = static_cast<NtStatus>(0xC0000019);
inline constexpr NtStatus status_buffer_too_small = static_cast<NtStatus>(0xC0000023);
inline constexpr NtStatus status_object_type_mismatch = static_cast<NtStatus>(0xC0000024);
inline constexpr NtStatus status_object_name_not_found = static_cast<NtStatus>(0xC0000034);
inline constexpr NtStatus status_object_path_syntax_bad = static_cast<NtStatus>(0xC000003B);
inline constexpr NtStatus status_invalid_page_protection = static_cast<NtStatus>(0xC0000045);
inline constexpr NtStatus status_mutant_not_owned = static_cast<NtStatus>(0xC0000046);
inline constexpr NtStatus status_insufficient_resources = static_cast<NtStatus>(0xC000009A);

[[nodiscard]] constexpr bool is_success(NtStatus status) {
    return status >= 0;
}

/// A DDI's truth value; one byte.  [Windows: Windows Data Types]
using Boolean = std::uint8_t;

/// Counted text; lengths are in bytes, and a terminating zero is not guaranteed.
/// [Windows: UNICODE_STRING]
struct UnicodeString {
    std::uint16_t length{};
    std::uint16_t maximum_length{};
    char16_t* buffer{};
};
static_assert(sizeof(UnicodeString) == 0x10);

/// Counted text of single bytes.  [Windows: STRING]
struct AnsiString {
    std::uint16_t length{};
    std::uint16_t maximum_length{};
    char* buffer{};
};
static_assert(sizeof(AnsiString) == 0x10);

/// A list of two pointers.  [Windows: LIST_ENTRY]
struct ListEntry {
    ListEntry* next{};
    ListEntry* previous{};
};

}  // namespace hvp::lab::rtl
