// memcpy, memmove, memset, memcmp, strlen, strcmp, strncmp: for drivers that import them, and for
// the compiler, which calls the first four by itself. Quadwords at a time: on the emulator's clock
// a repetition costs one tick however wide it is.
#include <cstddef>
#include <cstdint>

#include "lab/nt/rtl/export.hpp"

namespace {

void copy_forwards(std::uint8_t*& to, const std::uint8_t*& from, std::size_t bytes) {
    std::size_t quadwords = bytes / 8;
    std::size_t rest = bytes % 8;
    asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(quadwords) : : "memory");
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(rest) : : "memory");
}

}  // namespace

NT_EXPORT void* memcpy(void* destination, const void* source, std::size_t bytes) {
    auto* to = static_cast<std::uint8_t*>(destination);
    const auto* from = static_cast<const std::uint8_t*>(source);
    copy_forwards(to, from, bytes);
    return destination;
}

NT_EXPORT void* memmove(void* destination, const void* source, std::size_t bytes) {
    auto* to = static_cast<std::uint8_t*>(destination);
    const auto* from = static_cast<const std::uint8_t*>(source);
    if (to <= from || to >= from + bytes) {
        copy_forwards(to, from, bytes);
    } else {
        while (bytes-- != 0) {
            to[bytes] = from[bytes];
        }
    }
    return destination;
}

NT_EXPORT void* memset(void* destination, int value, std::size_t bytes) {
    auto* to = static_cast<std::uint8_t*>(destination);
    const std::uint64_t pattern = 0x0101'0101'0101'0101 * static_cast<std::uint8_t>(value);
    std::size_t quadwords = bytes / 8;
    std::size_t rest = bytes % 8;
    asm volatile("rep stosq" : "+D"(to), "+c"(quadwords) : "a"(pattern) : "memory");
    asm volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(pattern) : "memory");
    return destination;
}

NT_EXPORT int memcmp(const void* left, const void* right, std::size_t bytes) {
    const auto* a = static_cast<const std::uint8_t*>(left);
    const auto* b = static_cast<const std::uint8_t*>(right);
    for (std::size_t i = 0; i < bytes; ++i) {
        if (a[i] != b[i]) {
            return a[i] < b[i] ? -1 : 1;
        }
    }
    return 0;
}

NT_EXPORT std::size_t strlen(const char* text) {
    std::size_t length = 0;
    while (text[length] != '\0') {
        ++length;
    }
    return length;
}

NT_EXPORT int strcmp(const char* left, const char* right) {
    while (*left != '\0' && *left == *right) {
        ++left;
        ++right;
    }
    return static_cast<unsigned char>(*left) - static_cast<unsigned char>(*right);
}

NT_EXPORT int strncmp(const char* left, const char* right, std::size_t count) {
    for (; count != 0; --count, ++left, ++right) {
        if (*left != *right || *left == '\0') {
            return static_cast<unsigned char>(*left) - static_cast<unsigned char>(*right);
        }
    }
    return 0;
}
