// RtlInitUnicodeString, RtlInitAnsiString, RtlCopyUnicodeString, RtlCompareMemory, _wcsnicmp,
// MmGetSystemRoutineAddress.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ldr/module.hpp"
#include "lab/nt/ldr/pe_tables.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/names.hpp"
#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::rtl {

/// [Windows: RtlInitUnicodeString] The buffer stays the caller's.
NT_EXPORT void RtlInitUnicodeString(UnicodeString* destination, char16_t* source) {
    *destination = {};
    if (source == nullptr) {
        return;
    }
    constexpr std::size_t longest = 0xFFFE / sizeof(char16_t) - 1;
    const std::size_t characters = std::min(std::u16string_view{source}.size(), longest);
    destination->length = static_cast<std::uint16_t>(characters * sizeof(char16_t));
    destination->maximum_length =
        static_cast<std::uint16_t>(destination->length + sizeof(char16_t));
    destination->buffer = source;
}

/// [Windows: RtlInitAnsiString] The buffer stays the caller's.
NT_EXPORT void RtlInitAnsiString(AnsiString* destination, char* source) {
    *destination = {};
    if (source == nullptr) {
        return;
    }
    constexpr std::size_t longest = 0xFFFE;
    const std::size_t characters = std::min(std::string_view{source}.size(), longest);
    destination->length = static_cast<std::uint16_t>(characters);
    destination->maximum_length = static_cast<std::uint16_t>(characters + 1);
    destination->buffer = source;
}

/// [Windows: _wcsnicmp] Compares at most `count` characters, ignoring their case.
NT_EXPORT int _wcsnicmp(const wchar_t* left, const wchar_t* right, std::size_t count) {
    for (; count != 0; --count, ++left, ++right) {
        const int difference =
            lower_case(static_cast<char16_t>(*left)) - lower_case(static_cast<char16_t>(*right));
        if (difference != 0 || *left == L'\0') {
            return difference;
        }
    }
    return 0;
}

/// [Windows: RtlCopyUnicodeString] Copies what fits; a terminating zero if there is room for it.
NT_EXPORT void RtlCopyUnicodeString(UnicodeString* destination, const UnicodeString* source) {
    destination->length = 0;
    if (source == nullptr) {
        return;
    }
    destination->length = std::min(source->length, destination->maximum_length);
    __builtin_memmove(destination->buffer, source->buffer, destination->length);
    if (destination->length + sizeof(char16_t) <= destination->maximum_length) {
        destination->buffer[destination->length / sizeof(char16_t)] = u'\0';
    }
}

/// [Windows: RtlCompareMemory] How many bytes are equal from the start.
NT_EXPORT std::size_t RtlCompareMemory(const std::uint8_t* left, const std::uint8_t* right,
                                       std::size_t bytes) {
    std::size_t equal = 0;
    while (equal < bytes && left[equal] == right[equal]) {
        ++equal;
    }
    return equal;
}

/// [Windows: MmGetSystemRoutineAddress] Null for what the kernel does not export.
NT_EXPORT std::uint64_t MmGetSystemRoutineAddress(const UnicodeString* name) {
    examiner::check_irql_at_most(ke::Irql::passive,
                                 {"MmGetSystemRoutineAddress", examiner::api_irql,
                                  examiner::caller(__builtin_return_address(0))});
    std::array<char, 128> narrow{};
    const std::size_t characters = name->length / sizeof(char16_t);
    if (characters >= narrow.size()) {
        return 0;
    }
    for (std::size_t i = 0; i < characters; ++i) {
        narrow[i] = static_cast<char>(name->buffer[i]);
    }
    const auto& kernel = ldr::kernel_module();
    const auto address =
        pe::find_export(kernel.headers, kernel.memory(), {narrow.data(), characters});
    return address ? kernel.base + *address : 0;
}

}  // namespace hvp::lab::rtl
