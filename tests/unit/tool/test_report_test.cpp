#include "tool/test_report.hpp"

#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

// As ctest 3.25 begins its report.
constexpr std::string_view report =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<testsuite name=\"(empty)\"\n"
    "\ttests=\"393\"\n\tfailures=\"3\"\n\tdisabled=\"1\"\n\tskipped=\"2\"\n\thostname=\"\"\n\t>\n"
    "\t<testcase name=\"A\" classname=\"A\" tests=\"7\"/>\n";

TEST(TestReport, CountsWhatPassedAndWhatDidNot) {
    EXPECT_EQ(read_test_report(report).passed, 387U);
    EXPECT_EQ(read_test_report(report).failed, 5U);
}

TEST(TestReport, NoReportIsNoSuccess) {
    EXPECT_EQ(read_test_report("").passed, 0U);
    EXPECT_EQ(read_test_report("<testsuite").failed, 0U);
}

}  // namespace
}  // namespace hvp::tool
