// KeWaitForSingleObject, KeDelayExecutionThread.
#include <bit>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/scheduler.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/ke/wait.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::ke {
namespace {

/// No thread can wait at DISPATCH_LEVEL: its processor cannot switch to another one there.
[[noreturn]] void refuse_wait(examiner::FunctionName function) {
    rtl::Sentence detail{function};
    detail.put(" has to wait, and the IRQL is ");
    detail.decimal(static_cast<std::uint64_t>(current_irql())).put(" (");
    detail.put(name_of(current_irql())).put("); a wait needs less than DISPATCH_LEVEL");
    bug_check({.code = BugCheckCode::attempted_switch_from_dpc,
               .parameters = {std::bit_cast<std::uint64_t>(&current_thread()), 0,
                              std::bit_cast<std::uint64_t>(__builtin_frame_address(0))},
               .detail = detail.view()});
}

}  // namespace

/// [Windows: KeWaitForSingleObject] A null timeout waits for ever. Threads are never alerted here
/// and there are no APCs, so that wait mode and alertable make no difference.
NT_EXPORT rtl::NtStatus KeWaitForSingleObject(DispatcherHeader* object, std::uint32_t /*reason*/,
                                              std::uint8_t /*mode*/, rtl::Boolean /*alertable*/,
                                              const std::int64_t* timeout) {
    const bool may_wait = timeout == nullptr || *timeout != 0;
    examiner::check_irql_at_most(may_wait ? Irql::apc : Irql::dispatch,
                                 {"KeWaitForSingleObject", examiner::wait_irql,
                                  examiner::caller(__builtin_return_address(0))});
    if (may_wait && current_irql() >= Irql::dispatch && would_wait(*object)) {
        refuse_wait("KeWaitForSingleObject");
    }
    return wait(object, timeout);
}

/// [Windows: KeDelayExecutionThread] An interval of 0 lets others run.
NT_EXPORT rtl::NtStatus KeDelayExecutionThread(std::uint8_t /*mode*/, rtl::Boolean /*alertable*/,
                                               const std::int64_t* interval) {
    examiner::check_irql_at_most(Irql::apc, {"KeDelayExecutionThread", examiner::wait_irql,
                                             examiner::caller(__builtin_return_address(0))});
    if (current_irql() >= Irql::dispatch) {
        refuse_wait("KeDelayExecutionThread");
    }
    if (*interval == 0) {
        yield();
    } else {
        (void)wait(nullptr, interval);
    }
    return rtl::status_success;
}

}  // namespace hvp::lab::ke
