// Unhandled exceptions.
#pragma once

#include "lab/nt/rtl/exception.hpp"

namespace hvp::lab::ke {

/// The bug check that Windows raises for an unhandled exception: 0x7E in a system thread, 0x1E
/// elsewhere.
[[noreturn]] void unhandled_exception(const rtl::ExceptionRecord& record,
                                      const rtl::Context& context);

}  // namespace hvp::lab::ke
