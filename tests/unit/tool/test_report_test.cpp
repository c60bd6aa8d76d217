#include "tool/test_report.hpp"

#include <gtest/gtest.h>

#include <string>

namespace hvp::tool {
namespace {

// As ctest 3.25 begins its report.
const std::string report =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<testsuite name=\"(empty)\"\n"
    "\ttests=\"393\"\n\tfailures=\"3\"\n\tdisabled=\"1\"\n\tskipped=\"2\"\n\thostname=\"\"\n\t>\n"
    "\t<testcase name=\"A\" classname=\"A\" tests=\"7\"/>\n";

TEST(TestReport, CountsWhatPassedAndWhatDidNot) {
    EXPECT_EQ(read_test_report(report).passed, 387U);
    EXPECT_EQ(read_test_report(report).failed, 5U);
}

std::string case_with_output(std::string_view output) {
    return "\t<testcase name=\"B\" classname=\"B\">\n\t\t<system-out>" + std::string{output} +
           "</system-out>\n\t</testcase>\n";
}

TEST(TestReport, AProgramCountsAsTheTestsInIt) {
    const std::string one = case_with_output("[  PASSED  ] 1 test.\n");
    const std::string all = case_with_output(
        "[==========] 148 tests from 20 test suites ran.\n[  PASSED  ] 148 tests.\n");
    const std::string some = case_with_output(
        "[  FAILED  ] A.Is (0 ms)\n[  PASSED  ] 40 tests.\n[  FAILED  ] 2 tests, listed below:\n"
        "[  FAILED  ] A.Is\n");
    EXPECT_EQ(read_test_report(report + one).passed, 387U);
    EXPECT_EQ(read_test_report(report + one + all).passed, 387U + 147U);
    EXPECT_EQ(read_test_report(report + all + some).passed, 387U + 147U + 40U);
    EXPECT_EQ(read_test_report(report + all + some).failed, 5U + 1U);
}

TEST(TestReport, NoReportIsNoSuccess) {
    EXPECT_EQ(read_test_report("").passed, 0U);
    EXPECT_EQ(read_test_report("<testsuite").failed, 0U);
}

}  // namespace
}  // namespace hvp::tool
