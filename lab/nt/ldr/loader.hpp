// Loads a driver's file into memory as Windows does, and unloads it.
#pragma once

#include <cstdint>
#include <string_view>

#include "lab/nt/ldr/pe.hpp"

namespace hvp::lab::ldr {

/// The driver to load.
struct LoadRequest {
    pe::Bytes file{};
    std::string_view name{};  ///< with ".sys"
    std::uint64_t seed{};     ///< chooses the base and the security cookie
    std::uint64_t load{};     ///< 1, 2, …
};

/// Maps, relocates, links and protects the image; it is driver_module() then. The reason of a
/// failure is reported as an event.
[[nodiscard]] bool load_driver(const LoadRequest& request);

/// Unmaps the sections that are needed only by DriverEntry.
void discard_initialisation();

/// Unmaps the image. The module's record stays, to explain later accesses.
void unload_driver();

}  // namespace hvp::lab::ldr
