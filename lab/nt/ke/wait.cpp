// Whether an object is signaled, and the begin and end of a wait.
#include "lab/nt/ke/wait.hpp"

#include "hypervisor/arch/processor_state.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/scheduler.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/ke/timer.hpp"
#include "lab/nt/rtl/list.hpp"

namespace hvp::lab::ke {
namespace {

Kmutant& mutant(DispatcherHeader& object) {
    return reinterpret_cast<Kmutant&>(object);
}

bool is_signaled(const DispatcherHeader& object, const Kthread& thread) {
    return object.signal_state > 0 || (object.type == ObjectType::mutant &&
                                       reinterpret_cast<const Kmutant&>(object).owner == &thread);
}

/// What a successful wait does to the object.
void consume(DispatcherHeader& object, Kthread& thread) {
    switch (object.type) {
        case ObjectType::synchronization_event:
        case ObjectType::synchronization_timer:
            object.signal_state = 0;
            break;
        case ObjectType::mutant:
            if (--object.signal_state == 0) {
                mutant(object).owner = &thread;
                rtl::insert_before(thread.mutexes, mutant(object).owned);
            }
            break;
        case ObjectType::notification_event:
        case ObjectType::notification_timer:
        case ObjectType::thread:
            break;
    }
}

void begin_wait(WaitBlock& block, Kthread& thread, DispatcherHeader& object, rtl::NtStatus status) {
    block.thread = &thread;
    block.object = &object;
    block.status = status;
    rtl::insert_before(object.waiters, block.entry);
}

}  // namespace

void initialise(DispatcherHeader& header, ObjectType type, std::size_t bytes, std::int32_t state) {
    header.type = type;
    header.flags = 0;
    header.size_in_words = static_cast<std::uint8_t>(bytes / sizeof(std::uint32_t));
    header.inserted = 0;
    header.signal_state = state;
    rtl::make_empty(header.waiters);
}

void withdraw_from_wait(Kthread& thread) {
    for (auto& block : thread.wait_blocks) {
        rtl::remove(block.entry);
    }
    (void)disarm(thread.timer);
}

void release_waiters(DispatcherHeader& object) {
    while (!rtl::is_empty(object.waiters)) {
        WaitBlock& block =
            rtl::holder_of<WaitBlock, offsetof(WaitBlock, entry)>(*object.waiters.next);
        Kthread& thread = *block.thread;
        if (!is_signaled(object, thread)) {
            return;
        }
        consume(object, thread);
        thread.wait_status = block.status;
        withdraw_from_wait(thread);
        end_wait(thread);
    }
}

rtl::NtStatus wait(DispatcherHeader* object, const std::int64_t* timeout) {
    const arch::InterruptsOff interrupts_off;
    Kthread& self = *current_processor().kpcr.prcb.current_thread;
    {
        const Locked locked{dispatcher_lock};
        if (object != nullptr && is_signaled(*object, self)) {
            consume(*object, self);
            return rtl::status_success;
        }
        if (timeout != nullptr && *timeout == 0) {
            return rtl::status_timeout;
        }
        if (object != nullptr) {
            begin_wait(self.wait_blocks[0], self, *object, rtl::status_success);
        }
        if (timeout != nullptr) {
            arm(self.timer, *timeout, 0, nullptr);
            begin_wait(self.wait_blocks[1], self, self.timer.header, rtl::status_timeout);
        }
        self.fate = Fate::waits;
    }
    leave_current_thread();
    return self.wait_status;
}

bool would_wait(const DispatcherHeader& object) {
    const Locked locked{dispatcher_lock};
    return !is_signaled(object, current_thread());
}

}  // namespace hvp::lab::ke
