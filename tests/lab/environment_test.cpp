// A driver finds in the lab what it finds on Windows 10 x64, on every model that can run that.
//
// tests/drivers/environment.cpp looks at registers, tables, structures and calls, and prints a line
// `Wrong what=… value=…` for each that is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/lab/places.hpp"
#include "tests/lab/playground.hpp"
#include "tool/explain/model_processor.hpp"

namespace hvp::tests {
namespace {

void expect_windows(Playground& playground, std::vector<std::string> options) {
    options.insert(options.begin(), {"run", "--driver", drivers_folder() / "environment.sys"});
    const Answer answer = playground(options);
    EXPECT_EQ(answer.status, 0) << answer.output << answer.errors;
    EXPECT_THAT(playground.events("Wrong"), testing::IsEmpty());
}

void expect_windows(std::vector<std::string> options) {
    Playground playground;
    expect_windows(playground, std::move(options));
}

class Environment : public testing::TestWithParam<const char*> {};

TEST_P(Environment, IsThatOfWindows) {
    Playground playground;
    expect_windows(playground, {"--model", GetParam()});
    // `explain` has the same values for the model that a driver reads.
    const auto model = tool::ModelProcessor::of(GetParam());
    const auto reported = playground.events("VmxMsr");
    EXPECT_EQ(model.has_value(), !reported.empty());
    for (const Json& msr : reported) {
        const auto index = std::stoul(msr["index"].get<std::string>(), nullptr, 0);
        EXPECT_EQ(model->msr(static_cast<arch::Msr>(index)),
                  std::stoull(msr["value"].get<std::string>(), nullptr, 0))
            << msr;
    }
}

INSTANTIATE_TEST_SUITE_P(EveryModel, Environment,
                         testing::Values("core2_penryn_t9600", "corei5_lynnfield_750",
                                         "corei5_arrandale_m520", "corei7_sandy_bridge_2600k",
                                         "corei7_ivy_bridge_3770k", "corei7_haswell_4770",
                                         "broadwell_ult", "corei7_skylake_x", "corei3_cnl",
                                         "corei7_icelake_u", "tigerlake", "ryzen",
                                         "athlon64_clawhammer", "p4_prescott_celeron_336"),
                         [](const auto& instance) { return std::string{instance.param}; });

TEST(EnvironmentElsewhere, NeitherMemoryNorSeedMatters) {
    expect_windows({"--memory", "64"});
    expect_windows({"--memory", "4096"});
    expect_windows({"--seed", "12345"});
}

TEST(EnvironmentElsewhere, ItIsTheSameInTheNextLoad) {
    expect_windows({"--loads", "3"});
}

}  // namespace
}  // namespace hvp::tests
