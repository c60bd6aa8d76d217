// Memory that the driver did not free.
#pragma once

namespace hvp::lab::examiner {

/// Reports every block of pool and contiguous memory that the driver still holds, checks the guard
/// bytes around it, and frees it.
///
/// Where    after DriverUnload, or after a DriverEntry that failed; before the image is unmapped
void report_leaks();

}  // namespace hvp::lab::examiner
