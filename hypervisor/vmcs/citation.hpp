// Where in Intel's manual a rule stands.
#pragma once

namespace hvp::vmx {

/// A section of Intel's manual, volume 3. Every one in the sources is held against the manual's
/// table of contents by a test.
struct Citation {
    // In place: pointers would take as much room again, and a driver is to stay small.
    char volume[3];    ///< "3C"
    char section[13];  ///< "26.3.1.2"
    const char* title;
};

}  // namespace hvp::vmx
