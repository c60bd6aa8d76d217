// A table of what exports promise and of what must not be done with them, and what runs it.
//
// Each contract_*.cpp is a driver with such tables. Under its own name it tries every promise, in
// DriverEntry and again in DriverUnload, and lists what else it knows. Under its name with `-wrong`
// it makes every mistake that the lab tells and survives; under its name with `-` and the name of a
// crash it makes that one. tests/lab/contract_test.cpp loads them all and knows what must follow.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "platform/windows/nt.hpp"

// Without C++ exceptions libstdc++'s headers make `if (true)` of it; here it is the compiler's.
#undef __try

namespace hvp::tests {

/// Something that works: true if the export kept its promise.
struct Promise {
    const char* exported;
    const char* what;
    bool (*is_kept)();
};

/// A wrong use that the run survives, told by a finding of that rule.
struct Mistake {
    const char* exported;
    const char* what;
    void (*make)();
    const char* rule;
};

/// A wrong use that ends in a bug check. `service` is the last part of the driver's name then.
struct Crash {
    const char* exported;
    const char* what;
    const char* service;
    void (*make)();
    ULONG bug_check;
};

/// An export that cannot be used wrongly, and why; or whose wrong use no kernel notices.
struct Harmless {
    const char* exported;
    const char* why;
};

struct Contract {
    std::string_view driver;
    std::span<const Promise> promises;
    std::span<const Mistake> mistakes;
    std::span<const Crash> crashes;
    std::span<const Harmless> harmless;
};

/// DriverEntry of every contract_*.cpp.
[[nodiscard]] NTSTATUS examine(const Contract& contract, PDRIVER_OBJECT driver,
                               PUNICODE_STRING registry_path);

/// The compiler must not see through what is done to this value.
template <typename T>
[[nodiscard]] T opaque(T value) {
    asm volatile("" : "+r"(value));
    return value;
}

/// Runs something at another IRQL.
template <typename Work>
void at_irql(KIRQL level, Work work) {
    KIRQL old{};
    KeRaiseIrql(level, &old);
    work();
    KeLowerIrql(old);
}

/// What the kernel exports under that name; for routines that headers replace by instructions.
template <typename Routine>
[[nodiscard]] Routine* routine_named(const wchar_t* text) {
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, const_cast<wchar_t*>(text));
    return reinterpret_cast<Routine*>(MmGetSystemRoutineAddress(&name));
}

}  // namespace hvp::tests
