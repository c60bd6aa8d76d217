// Where in which image a guest was when its state was recorded.
#pragma once

#include <vector>

#include "tool/record/symbols/addresses.hpp"
#include "tool/replay/recorded_state.hpp"

namespace hvp::tool {

/// Gives each state the place of its guest's RIP, if that is in an image.
void name_places(std::vector<RecordedState>& states, AddressNames names);

}  // namespace hvp::tool
