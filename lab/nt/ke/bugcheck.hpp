// The end of everything: what went wrong, told once, then the machine stops.
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
    std::string_view detail{};  ///< a sentence that Windows would not have
    const TrapFrame* frame{};   ///< the interrupted code; none: the caller is to blame
};

/// Writes the BugCheck event and the Summary, and ends the machine. A bug check inside a bug check
/// is told in short; one inside that ends the machine at once.
[[noreturn]] void bug_check(const BugCheck& what);

/// For a trap that comes while another one is being judged: told in short, because what the long
/// form needs has just failed.
[[noreturn]] void nested_bug_check(const BugCheck& what);

}  // namespace hvp::lab::ke
