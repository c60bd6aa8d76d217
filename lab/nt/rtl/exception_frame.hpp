// A walk over the stack, function by function, with what each language-specific handler needs.
#pragma once

#include <cstdint>

#include "lab/nt/ldr/module.hpp"
#include "lab/nt/rtl/exception.hpp"
#include "lab/nt/rtl/unwind.hpp"

namespace hvp::lab::rtl {

/// The registers of one function, and of its caller.
class ExceptionFrame {
public:
    explicit ExceptionFrame(const Context& context) : registers_{registers_of(context)} {}

    /// Looks up the function that contains RIP. False: there is none, the stack ends here.
    [[nodiscard]] bool look();

    /// Goes on to the function that called this one, or after a collision to the one that the other
    /// walk had reached. An interrupt's frame is the last one: the interrupted code does not handle
    /// exceptions of the interrupt's.
    void leave();

    /// Calls the function's handler, if it has one of that kind; else the result is
    /// `continue_search`.
    ///
    /// Needs    `context`: of the exception; `scratch`: filled with the registers of the function
    ///          (while unwinding) or of its caller, as Windows does
    Disposition ask(HandlerKind kind, ExceptionRecord& record, Context& context, Context& scratch,
                    std::uint64_t target_ip);

    [[nodiscard]] std::uint64_t establisher() const { return facts_.establisher; }

    /// After the result `nested_exception`: up to which frame the exception is a nested one.
    [[nodiscard]] std::uint64_t nested_up_to() const { return nested_up_to_; }

    /// Puts the function's registers into a CONTEXT; what is no register of a call stays.
    void write_to(Context& context) const { write(registers_, context); }

private:
    [[nodiscard]] static Registers registers_of(const Context& context);
    static void write(const Registers& registers, Context& context);

    Registers registers_{};
    Registers caller_{};
    const ldr::Module* module_{};
    FrameFacts facts_{};
    std::uint32_t scope_index_{};       ///< blocks of the function before it have been left
    std::uint32_t next_scope_index_{};  ///< the same for the next function
    bool raised_exception_{true};  ///< an exception came at RIP: the walk's own, or an earlier one
    std::uint64_t nested_up_to_{};
    std::uint32_t frames_{};
};

}  // namespace hvp::lab::rtl
