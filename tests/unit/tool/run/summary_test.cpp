// summary.json: it says nothing about what nobody has looked at.
#include "tool/run/summary.hpp"

#include <gtest/gtest.h>

#include "tests/unit/tool/run/recorded.hpp"

namespace hvp::tool {
namespace {

constexpr const char* returned =
    R"({"t":5,"cpu":0,"from":"lab","event":"DriverEntryReturned","status":"0x00000000"})";

std::string end(const char* result) {
    return std::string{R"({"t":9,"cpu":0,"from":"lab","event":"Summary","result":")"} + result +
           R"(","status":"0x00000000","peak_bytes":8192,"leaked_bytes":0})";
}

TEST(Summary, HasWhatTheExaminerFound) {
    const Recorded run{{returned, end("passed")}};
    const Json summary = run.summary();
    EXPECT_EQ(summary["memory"]["leaked_bytes"], 0);
    EXPECT_EQ(summary["state_differences"], Json::array());
    EXPECT_EQ(summary["expected_changes"], Json::array());
}

// What the run's last lines say is in it.
TEST(Summary, HasTheRuleAndTheRemedy) {
    const Recorded run{
        {returned,
         R"({"t":6,"cpu":0,"from":"driver","event":"Failure","step":"VMXON","number":"0x0",)"
         R"("rule":"SDM 3C 24.11.5 VMXON Region","remedy":"align it"})",
         end("refused")}};
    EXPECT_EQ(run.summary()["rule"], "SDM 3C 24.11.5 (2022: 25.11.5) VMXON Region");
    EXPECT_EQ(run.summary()["remedy"], "align it");
    EXPECT_EQ(run.summary()["processor_log_bytes_left_out"], 0);
}

// After a bug check no processor is compared and no memory counted; a driver without DriverUnload
// is never examined, and one that could not be loaded neither.
TEST(Summary, IsNullWhereNobodyHasLooked) {
    const std::string stays = R"({"t":6,"cpu":0,"from":"lab","event":"NoDriverUnload","load":1})";
    for (const std::vector<std::string>& lines : {
             std::vector<std::string>{returned, end("bugcheck")},
             std::vector<std::string>{returned},
             std::vector<std::string>{returned, stays, end("passed")},
             std::vector<std::string>{end("failed")},
         }) {
        const Recorded run{lines};
        const Json summary = run.summary();
        EXPECT_TRUE(summary["memory"]["leaked_bytes"].is_null()) << lines.back();
        EXPECT_TRUE(summary["state_differences"].is_null()) << lines.back();
        EXPECT_TRUE(summary["expected_changes"].is_null()) << lines.back();
    }
}

TEST(Summary, ALineThatCannotBeReadIsAFinding) {
    const Recorded run{
        {returned, "{\"t\":7,\"cpu\":0,\"from\":\"lab\",\"ev\x1b[31m", end("passed")}};
    const auto findings = run.recording().timeline().all("lab", "Finding");
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0]->text("rule"), "UnreadableLine");
    EXPECT_EQ(run.verdict().result, Result::failed);
    EXPECT_TRUE(run.verdict().reason.starts_with("a line of the lab cannot be read (36 bytes): {"))
        << run.verdict().reason;
    EXPECT_FALSE(run.verdict().reason.contains('\x1b'));
    EXPECT_TRUE(run.verdict().reason.contains("\\x1b[31m"));
}

}  // namespace
}  // namespace hvp::tool
