// Callback objects: lists of routines that are called when something happens.
#pragma once

namespace hvp::lab::ex {

/// Makes the objects that every system has.
void create_system_callbacks();

/// Reports the routines that the driver has not unregistered, and removes them.
///
/// Where    after the driver's last call, before its image is unmapped
void report_left_callbacks();

}  // namespace hvp::lab::ex
