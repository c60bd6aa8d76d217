// The list of armed timers.
#include "lab/nt/ke/timer.hpp"

#include <algorithm>
#include <utility>

#include "lab/nt/ke/clock.hpp"
#include "lab/nt/ke/dpc.hpp"
#include "lab/nt/ke/wait.hpp"
#include "lab/nt/rtl/list.hpp"

namespace hvp::lab::ke {
namespace {

constinit rtl::ListEntry armed{.next = &armed, .previous = &armed};

Ktimer& timer_of(rtl::ListEntry& entry) {
    return rtl::holder_of<Ktimer, offsetof(Ktimer, entry)>(entry);
}

/// After all that expire before it or at the same time; searched from the end, where it is most
/// likely to belong.
void insert(Ktimer& timer) {
    rtl::ListEntry* place = &armed;
    while (place->previous != &armed && timer_of(*place->previous).due > timer.due) {
        place = place->previous;
    }
    rtl::insert_before(*place, timer.entry);
    timer.header.inserted = 1;
}

/// Takes one that is due, or returns null; it is signaled, and armed again if it is periodic.
bool expire_one() {
    const Locked locked{dispatcher_lock};
    Ktimer* const timer = first_timer();
    const std::uint64_t now = interrupt_time();
    if (timer == nullptr || timer->due > now) {
        return false;
    }
    (void)disarm(*timer);
    if (timer->period != 0) {
        // Missed periods are skipped.
        constexpr std::uint64_t units_per_millisecond = 10'000;
        const std::uint64_t period = timer->period * units_per_millisecond;
        timer->due = timer->due + period > now ? timer->due + period : now + period;
        insert(*timer);
    }
    Kdpc* const dpc = timer->dpc;
    timer->header.signal_state = 1;
    release_waiters(timer->header);
    if (dpc != nullptr) {
        (void)queue_dpc(*dpc, nullptr, nullptr);
    }
    return true;
}

}  // namespace

bool arm(Ktimer& timer, std::int64_t due, std::uint32_t period, Kdpc* dpc) {
    const bool was_armed = disarm(timer);
    const auto value = static_cast<std::uint64_t>(due);
    const std::uint64_t start = start_of_system_time();
    timer.due = due < 0 ? interrupt_time() - value : std::max(value, start) - start;
    timer.period = period;
    timer.dpc = dpc;
    timer.header.signal_state = 0;
    insert(timer);
    return was_armed;
}

bool disarm(Ktimer& timer) {
    if (std::exchange(timer.header.inserted, std::uint8_t{0}) == 0) {
        return false;
    }
    rtl::remove(timer.entry);
    return true;
}

bool is_timer_due() {
    // The list may change afterwards; a timer that is armed then expires at the next interrupt or
    // later.
    const Locked locked{dispatcher_lock};
    const Ktimer* const timer = first_timer();
    return timer != nullptr && timer->due <= interrupt_time();
}

void expire_timers() {
    while (expire_one()) {
    }
}

Ktimer* first_timer() {
    return rtl::is_empty(armed) ? nullptr : &timer_of(*armed.next);
}

Ktimer* timer_after(Ktimer& timer) {
    return timer.entry.next == &armed ? nullptr : &timer_of(*timer.entry.next);
}

}  // namespace hvp::lab::ke
