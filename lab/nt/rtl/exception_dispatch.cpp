// Two walks over the stack: the first one searches for a handler of the exception, the second one
// unwinds all functions up to the one that has it.
#include <algorithm>
#include <bit>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/ke/trap.hpp"
#include "lab/nt/rtl/exception.hpp"
#include "lab/nt/rtl/exception_frame.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::rtl {
namespace {

constexpr std::uint32_t noncontinuable_exception = 0xC000'0025;
constexpr std::uint32_t invalid_disposition = 0xC000'0026;
constexpr std::uint32_t bad_stack = 0xC000'0028;
constexpr std::uint32_t invalid_unwind_target = 0xC000'0029;
constexpr std::uint32_t status_unwind = 0xC000'0027;

/// Whether a frame lies where this thread, or what has interrupted it, may have one.
bool is_on_stack(std::uint64_t frame) {
    return frame % sizeof(std::uint64_t) == 0 && ke::is_known_stack(mm::LinearAddress{frame});
}

/// Raises another exception because the dispatch of the first one failed.
[[noreturn]] void raise_instead(std::uint32_t code, ExceptionRecord* first, Context& context) {
    ExceptionRecord record{
        .code = code, .flags = exception_noncontinuable, .next = first, .address = context.rip};
    static_cast<void>(dispatch_exception(record, context));
    ke::unhandled_exception(record, context);
}

/// The context of the caller of the function that has captured it.
[[nodiscard]] bool to_caller(Context& context) {
    ExceptionFrame frame{context};
    if (!frame.look()) {
        return false;
    }
    frame.leave();
    frame.write_to(context);
    return true;
}

[[noreturn]] void raise(ExceptionRecord& record, Context& context) {
    record.address = context.rip;
    if (dispatch_exception(record, context)) {
        RtlRestoreContext(&context, nullptr);
    }
    ke::unhandled_exception(record, context);
}

}  // namespace

bool dispatch_exception(ExceptionRecord& record, Context& context) {
    Context scratch = context;
    std::uint64_t nested_up_to = 0;
    for (ExceptionFrame frame{context}; frame.look(); frame.leave()) {
        if (!is_on_stack(frame.establisher())) {
            record.flags |= exception_stack_invalid;
            return false;
        }
        switch (frame.ask(HandlerKind::exception, record, context, scratch, 0)) {
            case Disposition::continue_execution:
                if ((record.flags & exception_noncontinuable) != 0) {
                    raise_instead(noncontinuable_exception, &record, context);
                }
                return true;
            case Disposition::nested_exception:
                record.flags |= exception_nested_call;
                nested_up_to = std::max(nested_up_to, frame.nested_up_to());
                break;
            case Disposition::continue_search:
            case Disposition::collided_unwind:
                break;
        }
        if (frame.establisher() == nested_up_to) {
            record.flags &= ~exception_nested_call;
        }
    }
    return false;
}

void raise_status(NtStatus status) {
    Context context;
    RtlCaptureContext(&context);
    ExceptionRecord record{.code = static_cast<std::uint32_t>(status),
                           .flags = exception_noncontinuable};
    static_cast<void>(to_caller(context));
    raise(record, context);
}

/// [Windows: ExRaiseStatus] Does not return to its caller.
NT_EXPORT void ExRaiseStatus(NtStatus status) {
    examiner::check_stack("ExRaiseStatus", examiner::caller(__builtin_return_address(0)));
    raise_status(status);
}

/// [Windows: RtlRaiseException] A handler may let the caller continue after the call.
NT_EXPORT void RtlRaiseException(ExceptionRecord* record) {
    examiner::check_stack("RtlRaiseException", examiner::caller(__builtin_return_address(0)));
    Context context;
    RtlCaptureContext(&context);
    static_cast<void>(to_caller(context));
    raise(*record, context);
}

/// [Windows: RtlUnwindEx] Unwinds all functions up to the one with the target frame, calling their
/// termination handlers, and continues there.
NT_EXPORT void RtlUnwindEx(std::uint64_t target_frame, std::uint64_t target_ip,
                           ExceptionRecord* record, std::uint64_t return_value, Context* scratch,
                           void* /*history_table*/) {
    ExceptionRecord own_record{.code = status_unwind, .address = target_ip};
    if (record == nullptr) {
        record = &own_record;
    }
    Context start;
    RtlCaptureContext(&start);
    *scratch = start;
    record->flags |= exception_unwinding;
    for (ExceptionFrame frame{start}; frame.look(); frame.leave()) {
        const bool is_target = frame.establisher() == target_frame;
        if (frame.establisher() > target_frame) {
            break;
        }
        record->flags |= is_target ? exception_target_unwind : 0;
        const auto answer = frame.ask(HandlerKind::unwind, *record, *scratch, *scratch, target_ip);
        record->flags &= ~(exception_target_unwind | exception_collided_unwind);
        if (answer == Disposition::collided_unwind) {
            record->flags |= exception_collided_unwind;
            continue;
        }
        if (answer != Disposition::continue_search) {
            raise_instead(invalid_disposition, record, start);
        }
        if (is_target) {
            frame.write_to(*scratch);
            scratch->rip = target_ip;
            scratch->general[0] = return_value;
            RtlRestoreContext(scratch, record);
        }
    }
    raise_instead(target_frame == 0 ? bad_stack : invalid_unwind_target, record, start);
}

/// Microsoft's compiler calls it for a jump out of a __try block with __finally: the blocks up to
/// the target are left, the function is not.
NT_EXPORT void _local_unwind(std::uint64_t frame, std::uint64_t target_ip) {
    Context scratch;
    RtlUnwindEx(frame, target_ip, nullptr, 0, &scratch, nullptr);
}

}  // namespace hvp::lab::rtl
