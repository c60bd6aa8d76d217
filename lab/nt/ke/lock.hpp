// Locks for the kernel's own data. Drivers have spin locks of their own (irql_exports.cpp).
#pragma once

#include <cstdint>

#include "hypervisor/arch/processor_state.hpp"

namespace hvp::lab::ke {

/// Held by at most one processor, which may take it again: a bug check that is found while memory
/// is given out must be able to look at that memory.
class Lock {
public:
    /// Waits. A waiting processor goes on to serve others' requests (ipi.hpp), because the holder
    /// may be waiting for just that.
    ///
    /// Where    interrupts off; use Locked
    void acquire();
    void release();

    /// Waits for so many turns at most. A bug check must go on, whoever holds the lock.
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
    arch::InterruptsOff interrupts_off_;  // first: who holds a lock stays on its processor
    Lock& lock_;
};

}  // namespace hvp::lab::ke
