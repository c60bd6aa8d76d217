// Event providers that are registered.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace hvp::lab::etw {

using Guid = std::array<std::byte, 16>;

/// What EtwRegister gives out; never 0.  [Windows: EtwRegister] REGHANDLE.
using Handle = std::uint64_t;

struct Registration {
    Handle handle{};  ///< 0: this record is free
    Guid provider{};
    std::uint64_t registered_by{};
    bool has_traits{};
    /// Whether EVENT_DATA_DESCRIPTOR.Type is valid. Drivers from before Windows 10 leave it
    /// uninitialised, so it is used only if the driver asks for it.
    /// [Windows: EVENT_INFO_CLASS enumeration]
    bool has_typed_pieces{};
};

/// Returns  nothing if there are too many
[[nodiscard]] std::optional<Handle> add_registration(const Guid& provider, std::uint64_t caller);

/// Returns  a copy; nothing if it is not registered
[[nodiscard]] std::optional<Registration> find_registration(Handle handle);

/// Stores a changed copy.
void update_registration(const Registration& changed);

/// Returns  false if it is not registered
[[nodiscard]] bool remove_registration(Handle handle);

/// Reports the providers that the driver has not unregistered, and removes them.
///
/// Where    after the driver's last call, before its image is unmapped
void report_left_registrations();

}  // namespace hvp::lab::etw
