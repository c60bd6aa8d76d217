// __C_specific_handler: the handler of every function with __try in it. Its data is a table of the
// __try blocks, inner ones first.  [Windows: x64 exception handling, "Language Specific Handler"]
#include <bit>

#include "lab/nt/rtl/exception.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::rtl {
namespace {

/// One __try block; addresses are relative to the image. `target` is where the __except block
/// begins; 0: it is a __finally block, and `handler` is that.
struct Scope {
    std::uint32_t begin{};
    std::uint32_t end{};
    std::uint32_t handler{};
    std::uint32_t target{};

    [[nodiscard]] bool holds(std::uint64_t address) const {
        return address >= begin && address < end;
    }
    [[nodiscard]] bool is_same_block(const Scope& other) const {
        return handler == other.handler && target == other.target;
    }
};

struct ScopeTable {
    std::uint32_t count{};

    [[nodiscard]] const Scope& operator[](std::uint32_t index) const {
        return reinterpret_cast<const Scope*>(this + 1)[index];
    }
};

struct ExceptionPointers {
    ExceptionRecord* record{};
    Context* context{};
};

using Filter = std::int32_t (*)(ExceptionPointers* exception, std::uint64_t frame);
using Termination = void (*)(rtl::Boolean abnormal, std::uint64_t frame);

extern "C" void RtlUnwindEx(std::uint64_t target_frame, std::uint64_t target_ip,
                            ExceptionRecord* record, std::uint64_t return_value, Context* scratch,
                            void* history_table);

/// __except(EXCEPTION_EXECUTE_HANDLER) needs no filter routine.
constexpr std::uint32_t always = 1;

std::int32_t filter(const Scope& scope, ExceptionRecord& record, Context& context,
                    const DispatcherContext& dispatcher) {
    if (scope.handler == always) {
        return 1;
    }
    ExceptionPointers pointers{&record, &context};
    return std::bit_cast<Filter>(dispatcher.image_base + scope.handler)(
        &pointers, dispatcher.establisher_frame);
}

Disposition search(ExceptionRecord& record, Context& context, DispatcherContext& dispatcher) {
    const auto& table = *static_cast<const ScopeTable*>(dispatcher.handler_data);
    const std::uint64_t pc = dispatcher.control_pc - dispatcher.image_base;
    for (std::uint32_t i = dispatcher.scope_index; i < table.count; ++i) {
        const Scope& scope = table[i];
        if (scope.target == 0 || !scope.holds(pc)) {
            continue;
        }
        const std::int32_t answer = filter(scope, record, context, dispatcher);
        if (answer < 0) {
            return Disposition::continue_execution;
        }
        if (answer > 0) {
            RtlUnwindEx(dispatcher.establisher_frame, dispatcher.image_base + scope.target, &record,
                        record.code, dispatcher.context, dispatcher.history_table);
        }
    }
    return Disposition::continue_search;
}

/// Whether the code to continue at lies in the same block: then that block is not left.
bool target_is_in(const ScopeTable& table, const Scope& scope, std::uint64_t target) {
    for (std::uint32_t i = 0; i < table.count; ++i) {
        if (table[i].holds(target) && table[i].is_same_block(scope)) {
            return true;
        }
    }
    return false;
}

Disposition unwind(const ExceptionRecord& record, DispatcherContext& dispatcher) {
    const auto& table = *static_cast<const ScopeTable*>(dispatcher.handler_data);
    const std::uint64_t pc = dispatcher.control_pc - dispatcher.image_base;
    const std::uint64_t target = dispatcher.target_ip - dispatcher.image_base;
    const bool here = (record.flags & exception_target_unwind) != 0;
    for (std::uint32_t i = dispatcher.scope_index; i < table.count; ++i) {
        const Scope& scope = table[i];
        if (!scope.holds(pc)) {
            continue;
        }
        if (here && (target_is_in(table, scope, target) || scope.target == target)) {
            break;
        }
        if (scope.target == 0) {
            dispatcher.scope_index = i + 1;
            std::bit_cast<Termination>(dispatcher.image_base + scope.handler)(
                1, dispatcher.establisher_frame);
        }
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
