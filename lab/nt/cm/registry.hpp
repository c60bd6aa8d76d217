// The registry, as far as a driver finds its own settings in it: the key of its service.
#pragma once

#include <string_view>

namespace hvp::lab::cm {

/// Makes \Registry\Machine\System\CurrentControlSet\Services\<service> and the keys above it.
void create_registry(std::string_view service);

}  // namespace hvp::lab::cm
