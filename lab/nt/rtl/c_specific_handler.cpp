// __C_specific_handler: the language-specific handler of every function with __try in it. Its data
// is the table of these blocks.  [Windows: x64 exception handling, "Language Specific Handler"]
#include <bit>

#include "lab/nt/ldr/module.hpp"
#include "lab/nt/rtl/exception.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/scope_table.hpp"

namespace hvp::lab::rtl {
namespace {

struct ExceptionPointers {
    ExceptionRecord* record{};
    Context* context{};
};

using Filter = std::int32_t (*)(ExceptionPointers* exception, std::uint64_t frame);
using Termination = void (*)(rtl::Boolean abnormal, std::uint64_t frame);

extern "C" void RtlUnwindEx(std::uint64_t target_frame, std::uint64_t target_ip,
                            ExceptionRecord* record, std::uint64_t return_value, Context* scratch,
                            void* history_table);

/// The scope table of the function at which the dispatcher is.
ScopeTable table_of(const DispatcherContext& dispatcher) {
    const auto* module = ldr::module_at(dispatcher.control_pc);
    const auto place = std::bit_cast<std::uint64_t>(dispatcher.handler_data);
    return module != nullptr
               ? ScopeTable{module->memory(), static_cast<std::uint32_t>(place - module->base)}
               : ScopeTable{{}, 0};
}

std::int32_t ask_filter(const Scope& scope, ExceptionRecord& record, Context& context,
                        const DispatcherContext& dispatcher) {
    if (scope.handler == Scope::always) {
        return 1;
    }
    ExceptionPointers pointers{&record, &context};
    return std::bit_cast<Filter>(dispatcher.image_base + scope.handler)(
        &pointers, dispatcher.establisher_frame);
}

Disposition search(ExceptionRecord& record, Context& context, DispatcherContext& dispatcher) {
    const ScopeTable table = table_of(dispatcher);
    const std::uint64_t pc = dispatcher.control_pc - dispatcher.image_base;
    std::uint32_t next = dispatcher.scope_index;
    while (const auto found = table.filter(next, pc)) {
        next = found->next;
        const std::int32_t answer = ask_filter(found->scope, record, context, dispatcher);
        if (answer < 0) {
            return Disposition::continue_execution;
        }
        if (answer > 0) {
            RtlUnwindEx(dispatcher.establisher_frame, dispatcher.image_base + found->scope.target,
                        &record, record.code, dispatcher.context, dispatcher.history_table);
        }
    }
    return Disposition::continue_search;
}

Disposition unwind(const ExceptionRecord& record, DispatcherContext& dispatcher) {
    const ScopeTable table = table_of(dispatcher);
    const std::uint64_t pc = dispatcher.control_pc - dispatcher.image_base;
    std::optional<std::uint64_t> target;
    if ((record.flags & exception_target_unwind) != 0) {
        target = dispatcher.target_ip - dispatcher.image_base;
    }
    while (const auto found = table.termination(dispatcher.scope_index, pc, target)) {
        // If the block raises an exception it must not run a second time.
        dispatcher.scope_index = found->next;
        std::bit_cast<Termination>(dispatcher.image_base + found->scope.handler)(
            1, dispatcher.establisher_frame);
    }
    return Disposition::continue_search;
}

}  // namespace

/// [Windows: __C_specific_handler] Called for each function on the stack, with its own data.
NT_EXPORT Disposition __C_specific_handler(ExceptionRecord* record,
                                           std::uint64_t /*establisher_frame*/, Context* context,
                                           DispatcherContext* dispatcher) {
    return (record->flags & exception_unwinding) != 0 ? unwind(*record, *dispatcher)
                                                      : search(*record, *context, *dispatcher);
}

}  // namespace hvp::lab::rtl
