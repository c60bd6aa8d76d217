// Structured exceptions: their records, and the search for a handler.
// [Windows: x64 exception handling]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lab/nt/ldr/pe_tables.hpp"
#include "lab/nt/rtl/context.hpp"
#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::rtl {

/// Flags of an exception record.
inline constexpr std::uint32_t exception_noncontinuable = 0x01;
inline constexpr std::uint32_t exception_unwinding = 0x02;
inline constexpr std::uint32_t exception_stack_invalid = 0x08;
inline constexpr std::uint32_t exception_nested_call = 0x10;
inline constexpr std::uint32_t exception_target_unwind = 0x20;
inline constexpr std::uint32_t exception_collided_unwind = 0x40;

/// [Windows: EXCEPTION_RECORD structure]
struct ExceptionRecord {
    std::uint32_t code{};
    std::uint32_t flags{};
    ExceptionRecord* next{};
    std::uint64_t address{};
    std::uint32_t parameter_count{};
    std::uint32_t unused{};
    std::array<std::uint64_t, 15> information{};
};
static_assert(sizeof(ExceptionRecord) == 0x98);

/// What a language-specific handler gets about its function's frame.
/// [Windows: DISPATCHER_CONTEXT]
struct DispatcherContext {
    std::uint64_t control_pc{};
    std::uint64_t image_base{};
    const pe::RuntimeFunction* function{};
    std::uint64_t establisher_frame{};
    std::uint64_t target_ip{};
    Context* context{};
    std::uint64_t language_handler{};
    const void* handler_data{};
    void* history_table{};
    std::uint32_t scope_index{};
    std::uint32_t unused{};
};
static_assert(sizeof(DispatcherContext) == 0x50);
static_assert(offsetof(DispatcherContext, language_handler) == 0x30);  // call_handler.S
static_assert(offsetof(DispatcherContext, scope_index) == 0x48);

/// A language-specific handler's result.
enum class Disposition : std::int32_t {
    continue_execution = 0,
    continue_search = 1,
    nested_exception = 2,
    collided_unwind = 3,
};

/// Call the handler that the dispatcher context names, while a handler is looked for and while
/// the stack is unwound.
extern "C" Disposition call_while_searching(ExceptionRecord* record,
                                            std::uint64_t establisher_frame, Context* context,
                                            DispatcherContext* dispatcher);
extern "C" Disposition call_while_unwinding(ExceptionRecord* record,
                                            std::uint64_t establisher_frame, Context* context,
                                            DispatcherContext* dispatcher);

/// Calls the handlers of all functions on the stack, from the one in `context` outwards. One that
/// handles the exception unwinds the stack to its function, and this does not return.
///
/// Returns  true if execution continues with `context`; false if the exception is unhandled
[[nodiscard]] bool dispatch_exception(ExceptionRecord& record, Context& context);

/// Raises an exception with that status in the caller.  [Windows: ExRaiseStatus]
[[noreturn]] void raise_status(NtStatus status);

extern "C" [[noreturn]] void RtlRestoreContext(Context* context, ExceptionRecord* record);

}  // namespace hvp::lab::rtl
