// _vsnprintf, sprintf_s, vsprintf_s: the formatter of debug output, into a driver's own buffer.
#include <cstddef>
#include <span>

#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/format.hpp"

namespace hvp::lab::rtl {
namespace {

constexpr int did_not_fit = -1;

/// Text that does not fit leaves an empty string, so that no truncated text is used.
int print_safely(char* buffer, std::size_t bytes, const char* format_text,
                 __builtin_ms_va_list arguments) {
    if (buffer == nullptr || bytes == 0) {
        return did_not_fit;
    }
    TextWriter writer{std::span{buffer, bytes - 1}};
    format(writer, format_text, arguments);
    const std::size_t length = writer.truncated() ? 0 : writer.view().size();
    buffer[length] = '\0';
    return writer.truncated() ? did_not_fit : static_cast<int>(length);
}

}  // namespace

/// [Windows: _vsnprintf] A terminating zero only if there is room for it.
NT_EXPORT int _vsnprintf(char* buffer, std::size_t count, const char* format_text,
                         __builtin_ms_va_list arguments) {
    TextWriter writer{std::span{buffer, count}};
    format(writer, format_text, arguments);
    if (writer.truncated()) {
        return did_not_fit;
    }
    const std::size_t length = writer.view().size();
    if (length < count) {
        buffer[length] = '\0';
    }
    return static_cast<int>(length);
}

/// [Windows: vsprintf_s]
NT_EXPORT int vsprintf_s(char* buffer, std::size_t bytes, const char* format_text,
                         __builtin_ms_va_list arguments) {
    return print_safely(buffer, bytes, format_text, arguments);
}

/// [Windows: sprintf_s]
NT_EXPORT int sprintf_s(char* buffer, std::size_t bytes, const char* format_text, ...) {
    __builtin_ms_va_list arguments;
    __builtin_ms_va_start(arguments, format_text);
    const int length = print_safely(buffer, bytes, format_text, arguments);
    __builtin_ms_va_end(arguments);
    return length;
}

}  // namespace hvp::lab::rtl
