// printf as NT's debug output has it: no floating point, Microsoft's length prefixes, wide and
// counted strings. Pure: compiled and tested on the host too.
#pragma once

#include "lab/nt/rtl/text.hpp"

namespace hvp::lab::rtl {

/// Conversions in a format that have rules of their own.
struct FormatFacts {
    bool converted_wide_text{};  ///< allowed at PASSIVE_LEVEL only.  [Windows: DbgPrint]
};

/// Appends the formatted text. Understands flags `- + space # 0`, width and precision (also `*`),
/// the prefixes hh h l ll w I I32 I64 z j t, and the types c C s S Z d i u o x X p n(ignored) %.
FormatFacts format(TextWriter& out, const char* format, __builtin_ms_va_list arguments);

}  // namespace hvp::lab::rtl
