// Links a driver to the kernel.
#pragma once

#include "lab/nt/ldr/pe.hpp"

namespace hvp::lab::ldr {

/// Fills all import slots. False: something is missing or malformed, and an event names all of it.
[[nodiscard]] bool resolve_imports(const pe::Headers& headers, pe::WritableBytes memory);

}  // namespace hvp::lab::ldr
