// Sentences about views of a memory that is mapped to itself.
#pragma once

#include <vector>

#include "tool/record/addresses.hpp"
#include "tool/record/event.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {

/// Returns  the steps about an event of a stage with an identity and views; none for any other.
[[nodiscard]] std::vector<StoryStep> identity_event(const AddressNames& names, const Event& event);

}  // namespace hvp::tool
