// What the driver did not give back.
#pragma once

namespace hvp::lab::examiner {

/// Reports every block of pool and contiguous memory that the driver still holds, checks the bytes
/// around it, and takes it back.
///
/// Where    after DriverUnload, or after a DriverEntry that failed; before the image is unmapped
void report_leaks();

}  // namespace hvp::lab::examiner
