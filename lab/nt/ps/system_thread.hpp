// Threads that drivers start.
#pragma once

namespace hvp::lab::ps {

/// Frees the memory of threads that have ended and have no reference left.
///
/// Where    PASSIVE_LEVEL
void free_ended_threads();

}  // namespace hvp::lab::ps
