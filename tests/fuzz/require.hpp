// A fuzz target's assertion.
#pragma once

namespace hvp::fuzz {

/// Ends the run, and libFuzzer keeps the input.
inline void require(bool holds) {
    if (!holds) {
        __builtin_trap();
    }
}

}  // namespace hvp::fuzz
