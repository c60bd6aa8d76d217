// A thread on another processor, for drivers whose test takes two.
#pragma once

#include <cstdint>

#include "platform/windows/nt.hpp"

// The slot in the import table; mingw-w64's headers are one indirection off.
extern "C" POBJECT_TYPE* const thread_type_slot __asm__("__imp_PsThreadType");

namespace hvp::tests {

/// Runs `work(context)` in a thread that is bound to one processor. The destructor waits for it.
///
/// Where    PASSIVE_LEVEL
/// Source   [Windows: PsCreateSystemThread], [Windows: KeSetSystemAffinityThreadEx]
class OnOtherProcessor {
public:
    OnOtherProcessor(unsigned long processor, void (*work)(void*), void* context)
        : processor_{processor}, work_{work}, context_{context} {
        HANDLE handle{};
        if (PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr, routine,
                                 this) != STATUS_SUCCESS) {
            return;
        }
        // Cannot fail: the handle is good, and so is its type.
        (void)ObReferenceObjectByHandle(handle, SYNCHRONIZE, *thread_type_slot, KernelMode,
                                        &thread_, nullptr);
        ZwClose(handle);
    }
    OnOtherProcessor(const OnOtherProcessor&) = delete;
    OnOtherProcessor& operator=(const OnOtherProcessor&) = delete;
    ~OnOtherProcessor() {
        if (thread_ != nullptr) {
            KeWaitForSingleObject(thread_, Executive, KernelMode, FALSE, nullptr);
            ObDereferenceObject(thread_);
        }
    }

    [[nodiscard]] bool started() const { return thread_ != nullptr; }

private:
    static void NTAPI routine(PVOID context) {
        auto& self = *static_cast<OnOtherProcessor*>(context);
        KeSetSystemAffinityThreadEx(KAFFINITY{1} << self.processor_);
        self.work_(self.context_);
    }

    unsigned long processor_;
    void (*work_)(void*);
    void* context_;
    PVOID thread_{};
};

}  // namespace hvp::tests
