// `playground test`: builds everything, runs all tests, then the mutations.
#pragma once

#include "tool/options.hpp"
#include "tool/repository.hpp"

namespace hvp::tool {

struct TestCounts {
    unsigned passed = 0;
    unsigned failed = 0;
};

[[nodiscard]] ExitStatus test(const TestOptions& options, const Repository& repository);

}  // namespace hvp::tool
