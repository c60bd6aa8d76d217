// Sentences about a guest's extended page tables.
#pragma once

#include <vector>

#include "tool/record/addresses.hpp"
#include "tool/record/event.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {

/// Returns  the steps about an event of a stage with EPT; none for any other event.
[[nodiscard]] std::vector<StoryStep> ept_event(const AddressNames& names, const Event& event);

}  // namespace hvp::tool
