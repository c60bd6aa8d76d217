// The objects that drivers keep in their own memory: events, mutexes, timers, DPCs, laid out as in
// WDK's headers.  [Windows: Introduction to Kernel Dispatcher Objects]
#pragma once

#include <cstddef>
#include <cstdint>

#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::ke {

struct Kthread;

/// What a dispatcher object is; the numbers are those of WDK's headers.
enum class ObjectType : std::uint8_t {
    notification_event = 0,
    synchronization_event = 1,
    mutant = 2,
    thread = 6,
    notification_timer = 8,
    synchronization_timer = 9,
};

/// At the start of each object that a thread can wait for. Signaled: `signal_state` is above 0.
/// [Windows: DISPATCHER_HEADER, ntddk.h]
struct DispatcherHeader {
    ObjectType type{};
    std::uint8_t flags{};
    std::uint8_t size_in_words{};  ///< 32-bit words
    std::uint8_t inserted{};       ///< a timer: it is armed
    std::int32_t signal_state{};
    rtl::ListEntry waiters{};  ///< wait blocks (wait.hpp)
};
static_assert(sizeof(DispatcherHeader) == 0x18);

/// [Windows: KEVENT, ntddk.h]
struct Kevent {
    DispatcherHeader header{};
};
static_assert(sizeof(Kevent) == 0x18);

/// A mutex. It is free if `signal_state` is 1; each acquisition subtracts 1.
/// [Windows: KMUTANT, ntddk.h]
struct Kmutant {
    DispatcherHeader header{};
    rtl::ListEntry owned{};  ///< among the mutexes of its owner
    Kthread* owner{};
    std::uint8_t abandoned{};
    std::uint8_t apc_disable{};
};
static_assert(offsetof(Kmutant, owned) == 0x18);
static_assert(offsetof(Kmutant, owner) == 0x28);
static_assert(sizeof(Kmutant) == 0x38);

/// [Windows: KDPC_IMPORTANCE, ntddk.h]
enum class DpcImportance : std::uint8_t { low = 0, medium = 1, high = 2, medium_high = 3 };

struct Kdpc;
using DpcRoutine = void (*)(Kdpc*, void* context, void* argument_1, void* argument_2);

/// A deferred procedure call.  [Windows: KDPC, ntddk.h]
struct Kdpc {
    std::uint8_t type{};
    DpcImportance importance{};
    std::uint16_t target{};  ///< its processor's number + 1; 0: the one that queues it
    rtl::ListEntry entry{};
    DpcRoutine routine{};
    void* context{};
    void* argument_1{};
    void* argument_2{};
    void* queue{};  ///< the processor that has it in its queue
};
static_assert(offsetof(Kdpc, routine) == 0x18);
static_assert(offsetof(Kdpc, queue) == 0x38);
static_assert(sizeof(Kdpc) == 0x40);

/// [Windows: KTIMER, ntddk.h]
struct Ktimer {
    DispatcherHeader header{};
    std::uint64_t due{};  ///< interrupt time, in units of 100 ns
    rtl::ListEntry entry{};
    Kdpc* dpc{};
    std::uint32_t processor{};
    std::uint32_t period{};  ///< milliseconds; 0: it expires once
};
static_assert(offsetof(Ktimer, entry) == 0x20);
static_assert(offsetof(Ktimer, period) == 0x3C);
static_assert(sizeof(Ktimer) == 0x40);

}  // namespace hvp::lab::ke
