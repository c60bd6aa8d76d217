#include "tool/base/nearest.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace hvp::tool {
namespace {

TEST(Nearest, CountsChanges) {
    EXPECT_EQ(distance("kitten", "sitting"), 3U);
    EXPECT_EQ(distance("", "abc"), 3U);
    EXPECT_EQ(distance("same", "same"), 0U);
}

TEST(Nearest, SuggestsWhatWasProbablyMeant) {
    const std::vector<std::string> commands{"run", "test", "list", "clean", "bench"};
    EXPECT_EQ(nearest("tset", commands), "test");
    EXPECT_EQ(nearest("rnu", commands), "run");
    EXPECT_EQ(nearest("frobnicate", commands), "");
    const std::vector<std::string> models{"corei7_skylake_x", "corei7_haswell_4770"};
    EXPECT_EQ(nearest("skylake", models), "corei7_skylake_x");
}

}  // namespace
}  // namespace hvp::tool
