// Sentences about events that a VMM injects, as the guest's handlers found them.
#pragma once

#include <vector>

#include "tool/record/addresses.hpp"
#include "tool/record/event.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {

/// Returns  the steps about an event of event-injection; none for any other event.
[[nodiscard]] std::vector<StoryStep> injection_event(const AddressNames& names, const Event& event);

}  // namespace hvp::tool
