// One word, changed by one instruction.
#include "lab/nt/ke/lock.hpp"

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/ke/current_processor.hpp"
#include "lab/nt/ke/ipi.hpp"
#include "lab/nt/ke/processor.hpp"

namespace hvp::lab::ke {

bool Lock::try_acquire(std::uint32_t self) {
    std::uint32_t expected = 0;
    if (__atomic_load_n(&owner_, __ATOMIC_RELAXED) != self &&
        !__atomic_compare_exchange_n(&owner_, &expected, self, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED)) {
        return false;
    }
    ++depth_;
    return true;
}

void Lock::acquire() {
    const std::uint32_t self = current_processor_number() + 1;
    const bool& asked = current_processor().request.waiting;
    while (!try_acquire(self)) {
        // A loop of few instructions, so that a lock that was released is soon taken.
        while (__atomic_load_n(&owner_, __ATOMIC_RELAXED) != 0) {
            if (__atomic_load_n(&asked, __ATOMIC_RELAXED)) {
                serve_requests();
            }
            arch::pause();
        }
    }
}

void Lock::acquire_or_break(std::uint64_t turns) {
    const std::uint32_t self = current_processor_number() + 1;
    while (!try_acquire(self)) {
        if (turns-- == 0) {
            __atomic_store_n(&owner_, self, __ATOMIC_RELAXED);
            depth_ = 1;
            return;
        }
        arch::pause();
    }
}

void Lock::release() {
    if (--depth_ == 0) {
        __atomic_store_n(&owner_, 0, __ATOMIC_RELEASE);
    }
}

}  // namespace hvp::lab::ke
