// Locks for the kernel's own data. Drivers have spin locks of their own (irql_exports.cpp).
#pragma once

#include <cstdint>

#include "hypervisor/arch/processor_state.hpp"

namespace hvp::lab::ke {

/// Held by at most one processor, which may acquire it again (a recursive lock): a bug check while
/// the memory manager holds its lock must be able to read the memory manager's data.
class Lock {
public:
    /// Acquires the lock. A waiting processor runs its pending requests (ipi.hpp) meanwhile,
    /// because the holder may be waiting for them.
    ///
    /// Where    interrupts off; use Locked
    void acquire();
    void release();

    /// Gives up after so many attempts. A bug check must go on even if the lock is held.
    void acquire_or_break(std::uint64_t turns);

private:
    bool try_acquire(std::uint32_t self);

    std::uint32_t owner_{};  ///< the processor's number + 1; 0: free
    std::uint32_t depth_{};
};

/// Holds a lock, with interrupts off, while it lives.
class Locked {
public:
    explicit Locked(Lock& lock) : lock_{lock} { lock_.acquire(); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
    ~Locked() { lock_.release(); }

private:
    arch::InterruptsOff interrupts_off_;  // first: a lock's holder must stay on its processor
    Lock& lock_;
};

}  // namespace hvp::lab::ke
