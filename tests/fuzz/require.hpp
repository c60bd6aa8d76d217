// How a fuzz target says that something must never happen.
#pragma once

namespace hvp::fuzz {

/// Ends the run, and libFuzzer keeps the input.
inline void require(bool holds) {
    if (!holds) {
        __builtin_trap();
    }
}

}  // namespace hvp::fuzz
