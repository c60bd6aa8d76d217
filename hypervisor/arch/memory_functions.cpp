// memcpy, memset, memmove, memcmp: the compiler calls them on its own, so they must be ours.
//
// Without them a copy in VMX root operation would run through the host system's. They are byte by
// byte by intention: nothing here copies much, and REP needs no vector registers.
#include <cstddef>
#include <cstdint>

extern "C" {

void* memcpy(void* to, const void* from, std::size_t bytes) {
    void* const result = to;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
    return result;
}

void* memset(void* to, int value, std::size_t bytes) {
    void* const result = to;
    asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
    return result;
}

void* memmove(void* to, const void* from, std::size_t bytes) {
    if (reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from) >= bytes) {
        return memcpy(to, from, bytes);
    }
    // The end of the source would be overwritten before it is read: copy from the end.
    auto* const target = static_cast<unsigned char*>(to);
    const auto* const source = static_cast<const unsigned char*>(from);
    for (std::size_t left = bytes; left != 0; --left) {
        target[left - 1] = source[left - 1];
    }
    return to;
}

int memcmp(const void* a, const void* b, std::size_t bytes) {
    const auto* const first = static_cast<const unsigned char*>(a);
    const auto* const second = static_cast<const unsigned char*>(b);
    for (std::size_t i = 0; i < bytes; ++i) {
        if (first[i] != second[i]) {
            return first[i] < second[i] ? -1 : 1;
        }
    }
    return 0;
}

}  // extern "C"
