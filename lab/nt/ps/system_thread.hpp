// Threads that drivers start.
#pragma once

namespace hvp::lab::ps {

/// Gives back the memory of threads that have ended and that nobody refers to any more.
///
/// Where    PASSIVE_LEVEL
void free_ended_threads();

}  // namespace hvp::lab::ps
