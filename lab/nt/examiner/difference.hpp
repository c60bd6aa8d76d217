// Reports a difference of the processor's state.
#pragma once

#include <cstdint>
#include <string_view>

namespace hvp::lab::examiner {

/// A StateDifference event, which fails the run.
void report_difference(std::string_view item, std::uint64_t before, std::uint64_t after);

/// An ExpectedChange event: a change that cannot be undone.
void report_expected_change(std::string_view item, std::uint64_t before, std::uint64_t after);

}  // namespace hvp::lab::examiner
