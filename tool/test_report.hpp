// Reads the report that ctest writes: how many tests passed.
#pragma once

#include <string_view>

namespace hvp::tool {

struct TestCounts {
    unsigned passed = 0;
    unsigned failed = 0;
};

/// Reads the counts in the first element of ctest's JUnit report. A GoogleTest program counts as
/// the tests that it says it has run. Tests that were skipped count as failed: nobody has seen them
/// pass.
[[nodiscard]] TestCounts read_test_report(std::string_view report);

}  // namespace hvp::tool
