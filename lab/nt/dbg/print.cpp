// DbgPrint and similar routines: a driver's text becomes a DebugPrint event. Nothing is filtered.
#include <array>
#include <cstdint>
#include <string_view>

#include "lab/nt/dbg/event.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/format.hpp"
#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::dbg {
namespace {

// One call transmits at most so many bytes.  [Windows: DbgPrint]
constexpr std::size_t longest_print = 512;

// Components and levels are those of dpfilter.h; DbgPrint uses these two.
constexpr std::uint32_t default_component = 101;
constexpr std::uint32_t default_level = 3;

// Not on the stack: a print must not use up the driver's 24 KiB stack.
constinit std::array<char, longest_print> buffer{};
constinit ke::Lock printing{};

void check_wide_text(std::uint64_t caller) {
    const ke::Irql now = ke::current_irql();
    if (now == ke::Irql::passive) {
        return;
    }
    rtl::Sentence detail{"DbgPrint converted wide text at "};
    detail.put(ke::name_of(now)).put("; this is allowed at PASSIVE_LEVEL only");
    examiner::report_finding("WideTextAbovePassiveLevel", detail, examiner::no_verifier_code,
                             caller);
}

struct Print {
    std::string_view prefix{};
    std::uint32_t component{};
    std::uint32_t level{};
};

rtl::FormatFacts send(const Print& what, const char* format, __builtin_ms_va_list arguments) {
    const ke::Locked locked{printing};
    rtl::TextWriter writer{buffer};
    writer.put(what.prefix);
    const auto facts = rtl::format(writer, format, arguments);
    Event{"DebugPrint", From::driver}
        .number("component", what.component)
        .number("level", what.level)
        .text("text", writer.view())
        .boolean("truncated", writer.truncated());
    return facts;
}

rtl::NtStatus print(const Print& what, const char* format, __builtin_ms_va_list arguments,
                    std::uint64_t caller) {
    examiner::check_irql_at_most(ke::Irql::highest_device,
                                 {"DbgPrint", examiner::no_verifier_code, caller});
    if (send(what, format, arguments).converted_wide_text) {
        check_wide_text(caller);
    }
    return rtl::status_success;
}

}  // namespace

/// [Windows: DbgPrint]
NT_EXPORT rtl::NtStatus DbgPrint(const char* format, ...) {
    __builtin_ms_va_list arguments;
    __builtin_ms_va_start(arguments, format);
    const auto status = print({"", default_component, default_level}, format, arguments,
                              examiner::caller(__builtin_return_address(0)));
    __builtin_ms_va_end(arguments);
    return status;
}

/// [Windows: DbgPrintEx]
NT_EXPORT rtl::NtStatus DbgPrintEx(std::uint32_t component, std::uint32_t level, const char* format,
                                   ...) {
    __builtin_ms_va_list arguments;
    __builtin_ms_va_start(arguments, format);
    const auto status = print({"", component, level}, format, arguments,
                              examiner::caller(__builtin_return_address(0)));
    __builtin_ms_va_end(arguments);
    return status;
}

/// [Windows: vDbgPrintEx]
NT_EXPORT rtl::NtStatus vDbgPrintEx(std::uint32_t component, std::uint32_t level,
                                    const char* format, __builtin_ms_va_list arguments) {
    return print({"", component, level}, format, arguments,
                 examiner::caller(__builtin_return_address(0)));
}

/// [Windows: vDbgPrintExWithPrefix]
NT_EXPORT rtl::NtStatus vDbgPrintExWithPrefix(const char* prefix, std::uint32_t component,
                                              std::uint32_t level, const char* format,
                                              __builtin_ms_va_list arguments) {
    return print({prefix, component, level}, format, arguments,
                 examiner::caller(__builtin_return_address(0)));
}

}  // namespace hvp::lab::dbg
