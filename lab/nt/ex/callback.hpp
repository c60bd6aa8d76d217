// Callback objects: lists of routines that somebody calls when something happens.
#pragma once

namespace hvp::lab::ex {

/// Makes the objects that are there on every system.
void create_system_callbacks();

/// Reports what the driver has registered and not unregistered, and forgets it.
///
/// Where    after the driver's last call, before its image is unmapped
void report_left_callbacks();

}  // namespace hvp::lab::ex
