#include "tool/run/replays/fault_report.hpp"

#include <gtest/gtest.h>

#include "tests/unit/tool/run/recorded.hpp"

namespace hvp::tool {
namespace {

using Kind = EndingFault::Kind;

std::optional<EndingFault> fault_of(const std::vector<std::string>& console,
                                    const std::vector<std::string>& log) {
    const Recorded recorded{console, log};
    return ending_fault(recorded.recording().timeline(), recorded.recording().log().exceptions());
}

constexpr const char* bug_check =
    R"({"t":900,"cpu":0,"from":"lab","event":"BugCheck","code":"0x1aa","rip":"0x1234"})";

TEST(EndingFault, IsTheLastOneBeforeABugCheck) {
    const auto fault =
        fault_of({bug_check}, {"00000000100d[CPU0  ] exception(0x0d): error_code=0000",
                               "00000000800d[CPU0  ] exception(0x06): error_code=0000"});
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->kind, Kind::bug_check);
    EXPECT_EQ(fault->chain.t, 800U);
    EXPECT_EQ(fault->bug_check_rip, 0x1234U);
}

TEST(EndingFault, IsNoneThatCameLater) {
    EXPECT_FALSE(fault_of({bug_check}, {"00000000901d[CPU0  ] exception(0x06): error_code=0000"}));
    EXPECT_FALSE(fault_of({bug_check}, {"00000000800d[CPU1  ] exception(0x06): error_code=0000"}));
}

TEST(EndingFault, IsWhatCausedTheLastExit) {
    const auto fault =
        fault_of({}, {"00000000100d[CPU0  ] VMLAUNCH VMCS ptr: 0x0000000000301000",
                      "00000000100d[CPU0  ] VMENTER to x86-64 guest",
                      "00000000105d[CPU0  ] exception(0x08): error_code=0000",
                      "00000000105d[CPU0  ] VMEXIT reason = 2 (Triple Fault) qualification=0x0"});
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->kind, Kind::exit);
    EXPECT_EQ(fault->chain.t, 105U);
}

TEST(EndingFault, IsNoneWhereTheLastExitHasAnotherReason) {
    EXPECT_FALSE(fault_of({}, {"00000000100d[CPU0  ] VMLAUNCH VMCS ptr: 0x0000000000301000",
                               "00000000100d[CPU0  ] VMENTER to x86-64 guest",
                               "00000000103d[CPU0  ] exception(0x0e): error_code=0000",
                               "00000000105d[CPU0  ] VMEXIT reason = 12 (HLT) qualification=0x0",
                               "00000000105d[CPU0  ] exception(0x0d): error_code=0000"}));
}

}  // namespace
}  // namespace hvp::tool
