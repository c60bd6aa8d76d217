// Providers of events: who has registered as one and not unregistered.
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
    /// Whether pieces of an event have types. Drivers from before Windows 10 left garbage there, so
    /// it is looked at only if the driver asks for it.
    /// [Windows: EVENT_INFO_CLASS enumeration]
    bool has_typed_pieces{};
};

/// Returns  nothing if there are too many
[[nodiscard]] std::optional<Handle> add_registration(const Guid& provider, std::uint64_t caller);

/// Returns  a copy; nothing if it is not registered
[[nodiscard]] std::optional<Registration> find_registration(Handle handle);

/// Puts a changed copy back.
void update_registration(const Registration& changed);

/// Returns  false if it is not registered
[[nodiscard]] bool remove_registration(Handle handle);

/// Reports what the driver has registered and not unregistered, and forgets it.
///
/// Where    after the driver's last call, before its image is unmapped
void report_left_registrations();

}  // namespace hvp::lab::etw
