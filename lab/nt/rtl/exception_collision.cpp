// An exception inside a filter or a __finally block meets the walk over the stack that called it.
#include <bit>

#include "lab/nt/rtl/exception.hpp"

namespace hvp::lab::rtl {
namespace {

/// What the interrupted walk had told the handler; call_handler.S has put it there.
const DispatcherContext& interrupted(std::uint64_t establisher_frame) {
    constexpr std::uint64_t place = 0x20;
    return **std::bit_cast<const DispatcherContext* const*>(establisher_frame + place);
}

}  // namespace

/// A filter has caused another exception. Up to the function whose filter that was, handlers are
/// told so.
extern "C" Disposition exception_while_searching(ExceptionRecord* record,
                                                 std::uint64_t establisher_frame, Context*,
                                                 DispatcherContext* dispatcher) {
    if ((record->flags & exception_unwinding) != 0) {
        return Disposition::continue_search;
    }
    dispatcher->establisher_frame = interrupted(establisher_frame).establisher_frame;
    return Disposition::nested_exception;
}

/// A __finally block has caused another exception. What the interrupted walk had left is gone: the
/// new one goes on where that one was.
extern "C" Disposition exception_while_unwinding(ExceptionRecord*, std::uint64_t establisher_frame,
                                                 Context*, DispatcherContext* dispatcher) {
    const std::uint64_t target = dispatcher->target_ip;
    *dispatcher = interrupted(establisher_frame);
    dispatcher->target_ip = target;
    return Disposition::collided_unwind;
}

}  // namespace hvp::lab::rtl
