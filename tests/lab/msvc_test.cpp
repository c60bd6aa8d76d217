// A driver as Microsoft's tools build it runs like any other; see tests/drivers/msvc_image.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;

TEST(MsvcImage, RunsWithAllThatItsToolsPutIn) {
    for (const char* processors : {"1", "4"}) {
        Playground playground;
        const Answer answer =
            playground({"run", "--driver", playground.driver("msvc_image", "msvc_image"), "--cpus",
                        processors, "--loads", "3"});
        EXPECT_EQ(answer.status, 0) << answer.errors;
        const auto features = playground.events("Feature");
        EXPECT_EQ(features.size(), 3U * 8U);
        for (const Json& feature : features) {
            EXPECT_EQ(feature["good"], 1) << feature;
        }
    }
}

Json bug_check(const char* name) {
    Playground playground;
    const Answer answer = playground({"run", "--driver", playground.driver("msvc_image", name)});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("KERNEL_SECURITY_CHECK_FAILURE"));
    const auto reported = playground.events("BugCheck");
    return reported.size() == 1 ? reported[0] : Json{};
}

// [Windows: Bug Check 0x139 KERNEL_SECURITY_CHECK_FAILURE] Parameter 1 is INT 29h's code.
TEST(MsvcImage, OverrunOfABufferOnTheStackIsFound) {
    EXPECT_EQ(bug_check("msvc_image-overrun")["parameters"][0], "0x2");
}

TEST(MsvcImage, BrokenListIsFound) {
    EXPECT_EQ(bug_check("msvc_image-list")["parameters"][0], "0x3");
}

}  // namespace
}  // namespace hvp::tests
