// Between CONTEXT and the unwinder.
#include "lab/nt/rtl/exception_frame.hpp"

#include <bit>

#include "lab/nt/ke/stack_walk.hpp"

namespace hvp::lab::rtl {
namespace {

constexpr std::size_t vectors_in_fxsave = 0xA0;

}  // namespace

bool ExceptionFrame::look() {
    module_ = ldr::module_at(registers_.rip);
    caller_ = registers_;
    facts_ = {};
    return module_ != nullptr && unwind(module_->view(), caller_, ke::read_stack, &facts_);
}

void ExceptionFrame::leave() {
    // traps.S leaves the vector right below what the processor saved.
    constexpr std::uint64_t exceptions = 32;
    const bool interrupt =
        facts_.machine_frame != 0 &&
        ke::read_stack(facts_.machine_frame - sizeof(std::uint64_t)).value_or(0) >= exceptions;
    registers_ = interrupt ? Registers{} : caller_;
}

Disposition ExceptionFrame::ask(HandlerKind kind, ExceptionRecord& record, Context& context,
                                Context& scratch, std::uint64_t target_ip) const {
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
        .handler_data = std::bit_cast<const void*>(module_->base + facts_.handler_data)};
    const auto handler = std::bit_cast<LanguageHandler>(dispatcher.language_handler);
    return handler(&record, facts_.establisher, &context, &dispatcher);
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
