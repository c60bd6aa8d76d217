// The names of NTSTATUS values that drivers return, in one table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace hvp::tool {

/// One value, and what it means to somebody who loads a driver.
struct StatusName {
    std::uint32_t number;
    std::string_view name;
    std::string_view meaning;
};

/// All that have a name here.  [Windows: NTSTATUS Values]
[[nodiscard]] std::span<const StatusName> status_names();

/// Returns  the status with its name where we know it: `STATUS_SUCCESS`; else as it is
[[nodiscard]] std::string status_name(std::string_view status);

}  // namespace hvp::tool
