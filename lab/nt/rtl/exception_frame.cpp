// Between CONTEXT and the unwinder.
#include "lab/nt/rtl/exception_frame.hpp"

#include <bit>
#include <utility>

#include "lab/nt/ke/stack_walk.hpp"
#include "lab/nt/mm/stacks.hpp"

namespace hvp::lab::rtl {
namespace {

constexpr std::size_t vectors_in_fxsave = 0xA0;

/// More return addresses than a thread's stack has room for: the walk is in a loop.
constexpr std::uint32_t most_frames =
    mm::thread_stack_pages * mm::page_bytes / sizeof(std::uint64_t);

}  // namespace

bool ExceptionFrame::look() {
    module_ = ldr::module_at(registers_.rip);
    caller_ = registers_;
    facts_ = {.establisher = registers_.rsp()};
    if (++frames_ > most_frames) {
        return false;
    }
    if (module_ != nullptr) {
        return unwind(module_->view(), caller_, ke::read_stack, &facts_);
    }
    // Code outside of all images counts as a leaf function. RIP 0 is the end of the stack, unless
    // an exception came there: that was a call of a null pointer.
    return (raised_exception_ || registers_.rip != 0) && unwind_leaf(caller_, ke::read_stack);
}

void ExceptionFrame::leave() {
    // traps.S stores the vector directly below what the processor saved.
    constexpr std::uint64_t exceptions = 32;
    const bool interrupt =
        facts_.machine_frame != 0 &&
        ke::read_stack(facts_.machine_frame - sizeof(std::uint64_t)).value_or(0) >= exceptions;
    registers_ = interrupt ? Registers{} : caller_;
    raised_exception_ = facts_.machine_frame != 0 && !interrupt;
    scope_index_ = std::exchange(next_scope_index_, 0);
}

Disposition ExceptionFrame::ask(HandlerKind kind, ExceptionRecord& record, Context& context,
                                Context& scratch, std::uint64_t target_ip) {
    if (!facts_.has(kind)) {
        return Disposition::continue_search;
    }
    write(kind == HandlerKind::unwind ? registers_ : caller_, scratch);
    DispatcherContext dispatcher{
        .control_pc = registers_.rip,
        .image_base = module_->base,
        .function = &facts_.function,
        .establisher_frame = facts_.establisher,
        .target_ip = target_ip,
        .context = &scratch,
        .language_handler = module_->base + facts_.handler,
        .handler_data = std::bit_cast<const void*>(module_->base + facts_.handler_data),
        .scope_index = scope_index_};
    const auto call = kind == HandlerKind::unwind ? call_while_unwinding : call_while_searching;
    const auto answer = call(&record, facts_.establisher, &context, &dispatcher);
    if (answer == Disposition::collided_unwind) {
        caller_ = registers_of(*dispatcher.context);
        caller_.rip = dispatcher.control_pc;
        next_scope_index_ = dispatcher.scope_index;
    }
    nested_up_to_ = dispatcher.establisher_frame;
    return answer;
}

Registers ExceptionFrame::registers_of(const Context& context) {
    Registers registers{.general = context.general, .rip = context.rip};
    __builtin_memcpy(registers.vectors.data(), context.fxsave.data() + vectors_in_fxsave,
                     sizeof(registers.vectors));
    return registers;
}

void ExceptionFrame::write(const Registers& registers, Context& context) {
    context.general = registers.general;
    context.rip = registers.rip;
    __builtin_memcpy(context.fxsave.data() + vectors_in_fxsave, registers.vectors.data(),
                     sizeof(registers.vectors));
}

}  // namespace hvp::lab::rtl
