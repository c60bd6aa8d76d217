// KeInitializeEvent, KeSetEvent, KeResetEvent, KeClearEvent, KeReadStateEvent.
#include <utility>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/wait.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::ke {
namespace {

void check_irql(examiner::FunctionName function, Irql highest, const void* return_address) {
    examiner::check_irql_at_most(highest,
                                 {function, examiner::api_irql, examiner::caller(return_address)});
}

}  // namespace

/// [Windows: KeInitializeEvent] Any IRQL.
NT_EXPORT void KeInitializeEvent(Kevent* event, std::uint32_t type, rtl::Boolean state) {
    examiner::check_stack("KeInitializeEvent", examiner::caller(__builtin_return_address(0)));
    initialise(event->header,
               type == 0 ? ObjectType::notification_event : ObjectType::synchronization_event,
               sizeof(Kevent), state != 0 ? 1 : 0);
}

/// [Windows: KeSetEvent] `wait` says that a wait follows immediately; only below DISPATCH_LEVEL.
/// The lab may run other threads in between; Windows avoids this, but does not document it.
///
/// Returns  the state before
NT_EXPORT std::int32_t KeSetEvent(Kevent* event, std::int32_t /*increment*/, rtl::Boolean wait) {
    check_irql("KeSetEvent", wait != 0 ? Irql::apc : Irql::dispatch, __builtin_return_address(0));
    const Locked locked{dispatcher_lock};
    const std::int32_t before = std::exchange(event->header.signal_state, 1);
    release_waiters(event->header);
    return before;
}

/// [Windows: KeResetEvent]
///
/// Returns  the state before
NT_EXPORT std::int32_t KeResetEvent(Kevent* event) {
    check_irql("KeResetEvent", Irql::dispatch, __builtin_return_address(0));
    const Locked locked{dispatcher_lock};
    return std::exchange(event->header.signal_state, 0);
}

/// [Windows: KeClearEvent]
NT_EXPORT void KeClearEvent(Kevent* event) {
    check_irql("KeClearEvent", Irql::dispatch, __builtin_return_address(0));
    const Locked locked{dispatcher_lock};
    event->header.signal_state = 0;
}

/// [Windows: KeReadStateEvent]
NT_EXPORT std::int32_t KeReadStateEvent(const Kevent* event) {
    check_irql("KeReadStateEvent", Irql::dispatch, __builtin_return_address(0));
    return __atomic_load_n(&event->header.signal_state, __ATOMIC_ACQUIRE);
}

}  // namespace hvp::lab::ke
