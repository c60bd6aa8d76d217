// The VM entry of a driver that says nothing fails: the run explains it all the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <string>

#include "lab/machine/vmcs_layout.hpp"
#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

// The value that a test driver's event has as a number or as "0x…".
std::uint64_t number(const Json& value) {
    return value.is_string() ? std::stoull(value.get<std::string>(), nullptr, 16)
                             : value.get<std::uint64_t>();
}

// The tool reads fields from where the processor keeps them: the driver has looked for each.
class VmcsLayout : public testing::TestWithParam<const char*> {};

TEST_P(VmcsLayout, IsWhereVmwriteWrites) {
    Playground playground;
    const auto driver = playground.driver("vmcs-layout", "vmcs-layout");
    const Answer answer = playground({"run", "--driver", driver, "--model", GetParam()});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    const auto fields = playground.events("VmcsField");
    EXPECT_GT(fields.size(), 100U);
    for (const Json& field : fields) {
        const auto encoding = static_cast<std::uint32_t>(number(field["encoding"]));
        EXPECT_EQ(lab::vmcs_offset(encoding), number(field["offset"])) << field;
        lab::DebuggerStop stop;
        const std::uint64_t kept = number(field["kept"]);
        const std::uint64_t offset = number(field["offset"]);
        stop.words[offset & ~3ULL] = static_cast<std::uint32_t>(kept << (8 * (offset & 3)));
        stop.words[(offset & ~3ULL) + 4] = static_cast<std::uint32_t>(kept >> 32);
        EXPECT_EQ(lab::vmcs_field(stop, 0, encoding), number(field["written"])) << field;
    }
}

// The models differ in their fields and in the format that they announce.
INSTANTIATE_TEST_SUITE_P(, VmcsLayout,
                         testing::Values("core2_penryn_t9600", "corei7_skylake_x", "tigerlake"),
                         [](const auto& info) { return std::string{info.param}; });

struct Refusal {
    const char* name;
    std::vector<const char*> says;
};

void PrintTo(const Refusal& refusal, std::ostream* out) {
    *out << refusal.name;
}

class ForeignEntry : public testing::TestWithParam<Refusal> {};

TEST_P(ForeignEntry, IsExplainedFromTheMachinesMemory) {
    Playground playground;
    const auto driver = playground.driver("foreign", std::string{"foreign-"} + GetParam().name);
    const Answer answer = playground({"run", "--driver", driver});
    EXPECT_THAT(answer.errors, HasSubstr("VMLAUNCH at foreign-"));
    EXPECT_THAT(answer.errors, HasSubstr("(hvp_first_entry). The processor's log says: VM"));
    for (const char* words : GetParam().says) {
        EXPECT_THAT(answer.errors, HasSubstr(words));
    }
    EXPECT_THAT(answer.errors, Not(HasSubstr("dump lacks memory")));
    const Answer explained = playground({"explain", playground.runs() / "latest"});
    EXPECT_EQ(explained.status, 1);
    EXPECT_THAT(explained.output, HasSubstr(GetParam().says.front()));
    EXPECT_EQ(playground.summary()["explanation"]["instruction"], "VMLAUNCH");
}

INSTANTIATE_TEST_SUITE_P(
    , ForeignEntry,
    testing::Values(Refusal{"rflags",
                            {"guest-rflags-bit-1  ", "RFLAGS[1] cleared",
                             "set in tests/drivers/foreign.cpp:", "clear_rflags)"}},
                    Refusal{"host-rpl",
                            {"host-ds-rpl-ti  ", "VM-instruction error 8",
                             "set in tests/drivers/foreign.cpp:", "keep_rpl)"}},
                    Refusal{"msr-load",
                            {"msr-load-", "exit 34",
                             "(entry 1 of the\nVM-entry MSR-load area, from 1)"}}),
    [](const auto& info) {
        std::string name = info.param.name;
        std::ranges::replace(name, '-', '_');
        return name;
    });

TEST(ForeignEntryWithSeveralProcessors, SaysHowToLearnMore) {
    Playground playground;
    const auto driver = playground.driver("foreign", "foreign-rflags");
    const Answer answer = playground({"run", "--driver", driver, "--cpus", "2"});
    EXPECT_THAT(answer.errors, HasSubstr("With --cpus 1 the tool can run the machine once more"));
}

}  // namespace
}  // namespace hvp::tests
