// Repeated steps of a story, told once.
#pragma once

#include <vector>

#include "tool/story/story.hpp"

namespace hvp::tool {

/// Returns  the steps with each run of the same one, or of the same two to four by turns, told once
///          with how many times it came: "exit 12 HLT at main+0x10: on_hlt × 9 990"
///
/// The asides may differ: the first one stays, or, where they are the exits' costs, the least and
/// the most.
[[nodiscard]] std::vector<StoryStep> folded(std::vector<StoryStep> steps);

}  // namespace hvp::tool
