// The mutations: wrong changes to our own code, each of which must turn its tests red.
#pragma once

#include <string>
#include <vector>

#include "tool/base/repository.hpp"
#include "tool/test_report.hpp"

namespace hvp::tool {

/// Applies each patch of tests/mutations to a copy of the tree, builds, and runs the tests that its
/// `Test:` lines name (regular expressions of ctest). A mutation passes when each of them fails.
[[nodiscard]] TestCounts run_mutations(const std::vector<std::string>& filters,
                                       const Repository& repository);

}  // namespace hvp::tool
