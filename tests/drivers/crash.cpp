// A driver that crashes three calls deep. The lab must tell the stack, with functions and lines,
// and the last that was said before.
#include "platform/windows/nt.hpp"

namespace {

/// Keeps a call a call: something is left to do after it.
template <typename T>
T used(T value) {
    asm volatile("" : "+r"(value));
    return value;
}

[[gnu::noinline]] int third(volatile int* where) {
    return used(*where) + 1;  // line of the crash
}

[[gnu::noinline]] int second(volatile int* where) {
    return used(third(where)) + 1;  // line of the third call
}

[[gnu::noinline]] int first(volatile int* where) {
    return used(second(where)) + 1;  // line of the second call
}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT, PUNICODE_STRING) {
    for (int i = 1; i <= 20; ++i) {
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, "step %d of 20\n", i);
    }
    return used(first(used(static_cast<volatile int*>(nullptr)))) + 1;  // line of the first call
}
