// What launch's guest works on.
#include <gtest/gtest.h>

#include "stages/launch/collatz.hpp"

namespace hvp::launch {
namespace {

// 27 is famous for needing 111 steps; 1 needs none.
TEST(Collatz, CountsTheStepsToOne) {
    EXPECT_EQ(collatz_steps(1), 0U);
    EXPECT_EQ(collatz_steps(6), 8U);
    EXPECT_EQ(collatz_steps(27), 111U);
}

}  // namespace
}  // namespace hvp::launch
