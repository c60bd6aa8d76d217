// Guests that get nowhere: the run ends by itself and says so. Guests that only look like it pass.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

std::uintmax_t bytes_of(const fs::path& folder) {
    std::uintmax_t bytes = 0;
    for (const auto& entry : fs::recursive_directory_iterator{folder}) {
        bytes += entry.is_regular_file() ? entry.file_size() : 0;
    }
    return bytes;
}

struct Endless {
    const char* name;
    const char* sentence;
    const char* place;
    const char* remedy;
};

void PrintTo(const Endless& endless, std::ostream* out) {
    *out << endless.name;
}

class EndlessExit : public testing::TestWithParam<Endless> {};

TEST_P(EndlessExit, EndsTheRunWithItsCause) {
    Playground playground;
    const auto driver = playground.driver("endless", std::string{"endless-"} + GetParam().name);
    const Answer answer = playground({"run", "--driver", driver});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr(GetParam().sentence));
    EXPECT_THAT(answer.errors, HasSubstr(GetParam().place));
    EXPECT_THAT(answer.errors, HasSubstr(GetParam().remedy));
    EXPECT_THAT(answer.errors, HasSubstr("The guest at exit 4,096, as at the one before:\n"));
    EXPECT_THAT(answer.errors, HasSubstr("  RSP                     = 0xfffffb"));
    EXPECT_THAT(answer.output, Not(HasSubstr("Ctrl-C"))) << "progress is for terminals";
    EXPECT_THAT(playground.file("story.txt"), HasSubstr(GetParam().sentence));

    const Json summary = playground.summary();
    EXPECT_EQ(summary["result"], "hung");
    EXPECT_EQ(summary["endless_exit"]["count"], 4096);
    EXPECT_LT(summary["ticks"], 2'000'000) << "it ends soon";
    EXPECT_LT(bytes_of(playground.runs()), 50U << 20);
    EXPECT_EQ(playground.processes(), 0U);
}

INSTANTIATE_TEST_SUITE_P(
    , EndlessExit,
    testing::Values(
        Endless{"hlt", "exit 12 HLT at the same guest RIP 4,096 times: RIP is not advanced",
                "arch::hlt, hypervisor/arch/instructions.hpp:", "VM-exit instruction length"},
        Endless{"violation",
                "exit 48 EPT Violation at the same guest RIP 4,096 times: the access "
                "to guest-physical address 0x",
                "arch::hlt, hypervisor/arch/instructions.hpp:", "INVEPT"},
        Endless{"triple",
                "exit 2 Triple Fault at the same guest RIP 4,096 times: a guest is resumed that "
                "cannot go on",
                "cause_triple_fault, tests/drivers/endless.cpp:", "end the guest"},
        Endless{"io-in",
                "exit 30 I/O Instruction at the same guest RIP 4,096 times: RIP is not "
                "advanced",
                "poll_once, tests/drivers/endless.cpp:", "VM-exit instruction length"}),
    [](const auto& info) {
        std::string name = info.param.name;
        std::ranges::replace(name, '-', '_');
        return name;
    });

// A hundred thousand CPUIDs in a loop, an idle loop, polling, REP, and exit after exit.
TEST(ManyExits, AreNotEndlessIfTheGuestGetsOn) {
    Playground playground;
    playground.use_terminal(100);
    const auto driver = playground.driver("endless", "endless-none");
    const Answer answer = playground({"run", "--driver", driver});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_EQ(answer.errors, "");
    EXPECT_THAT(answer.output, HasSubstr(" VM exits; Ctrl-C ends it")) << "progress";
    EXPECT_EQ(playground.summary()["exits"]["0"]["CPUID"], 100'000);
    EXPECT_EQ(playground.summary()["exits"]["0"]["HLT"], 10'000);
    EXPECT_EQ(playground.summary()["exits"]["0"]["I/O Instruction"], 10'000);
    EXPECT_THAT(answer.output, HasSubstr("processor.log is cut: "));
    EXPECT_THAT(playground.file("processor.log"), HasSubstr(" lines left out here; --keep keeps"));
    EXPECT_LT(bytes_of(playground.runs()), 50U << 20);
}

}  // namespace
}  // namespace hvp::tests
