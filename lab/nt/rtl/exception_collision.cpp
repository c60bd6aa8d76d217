// Exceptions inside a filter or a __finally block: nested exceptions and collided unwinds.
#include <bit>

#include "lab/nt/rtl/exception.hpp"

namespace hvp::lab::rtl {
namespace {

/// The dispatcher context of the interrupted stack walk, where call_handler.S has stored it.
const DispatcherContext& interrupted(std::uint64_t establisher_frame) {
    constexpr std::uint64_t place = 0x20;
    return **std::bit_cast<const DispatcherContext* const*>(establisher_frame + place);
}

}  // namespace

/// A filter has raised another exception. Up to the filter's function, handlers see the flag of a
/// nested exception.
extern "C" Disposition exception_while_searching(ExceptionRecord* record,
                                                 std::uint64_t establisher_frame, Context*,
                                                 DispatcherContext* dispatcher) {
    if ((record->flags & exception_unwinding) != 0) {
        return Disposition::continue_search;
    }
    dispatcher->establisher_frame = interrupted(establisher_frame).establisher_frame;
    return Disposition::nested_exception;
}

/// A __finally block has raised another exception: a collided unwind. The frames that the
/// interrupted unwind had left no longer exist, so the new one continues where that one was.
extern "C" Disposition exception_while_unwinding(ExceptionRecord*, std::uint64_t establisher_frame,
                                                 Context*, DispatcherContext* dispatcher) {
    const std::uint64_t target = dispatcher->target_ip;
    *dispatcher = interrupted(establisher_frame);
    dispatcher->target_ip = target;
    return Disposition::collided_unwind;
}

}  // namespace hvp::lab::rtl
