// What we know about where our output goes.
#pragma once

#include "tool/story/story.hpp"

namespace hvp::tool {

/// Returns  how to lay out text on standard output: a terminal's width and colour, unless the
///          environment has NO_COLOR; a fixed width and no colour for files and pipes.
[[nodiscard]] StoryLayout layout_of_output();

}  // namespace hvp::tool
