// Bug checks: reports once what went wrong, then stops the machine.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "lab/nt/ke/bugcheck_codes.hpp"
#include "lab/nt/ke/trap_frame.hpp"

namespace hvp::lab::ke {

/// What is known about the failure.
struct BugCheck {
    BugCheckCode code{};
    std::array<std::uint64_t, 4> parameters{};
    std::string_view detail{};  ///< a sentence of the lab's own, which Windows does not have
    const TrapFrame* frame{};   ///< the interrupted code; null: the caller caused the bug check
};

/// Writes the BugCheck event and the Summary, and ends the machine. A bug check during a bug check
/// is reported briefly; a third one ends the machine immediately.
[[noreturn]] void bug_check(const BugCheck& what);

/// For a trap during the handling of another one: reported briefly, because what the full report
/// needs has just failed.
[[noreturn]] void nested_bug_check(const BugCheck& what);

}  // namespace hvp::lab::ke
