// Runs that do not end by themselves, and runs that a signal ends: one clear line, evidence kept,
// no process left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// The files of every run that did not pass.
void expect_files(const Playground& playground, const char* result) {
    EXPECT_EQ(playground.summary()["result"], result);
    EXPECT_NE(playground.summary()["reason"], "");
    EXPECT_NE(playground.file("bochs.log"), "");
    EXPECT_NE(playground.file("console.log"), "");
    EXPECT_NE(playground.file("story.txt"), "");
    EXPECT_EQ(playground.processes(), 0U);
}

void expect_evidence(const Playground& playground, const Answer& answer, const char* result) {
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
    expect_files(playground, result);
}

TEST(Hang, WhileExecutingIsReportedWithItsAddress) {
    Playground playground;
    const auto driver = playground.driver("misbehave", "misbehave-hang-executing");
    const Answer answer = playground({"run", "--driver", driver, "--timeout-ticks", "20000000"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("still executes after 20 000 000 instructions at "
                                         "misbehave-hang-executing.sys+0x"));
    EXPECT_THAT(answer.errors, HasSubstr("misbehave.cpp:"));
    expect_evidence(playground, answer, "hung");
    EXPECT_THAT(playground.file("console.log"), HasSubstr("rip: "));
}

TEST(Hang, WithInterruptsOffIsReportedWithItsAddress) {
    Playground playground;
    const auto driver = playground.driver("misbehave", "misbehave-hang-interrupts-off");
    for (const char* processors : {"1", "4"}) {
        const Answer answer = playground(
            {"run", "--driver", driver, "--timeout-ticks", "20000000", "--cpus", processors});
        EXPECT_EQ(answer.status, 1);
        EXPECT_THAT(answer.errors, HasSubstr("misbehave-hang-interrupts-off.sys+0x"));
        if (std::string_view{processors} != "1") {
            // The clock of another processor stopped the machine: deterministic, without a signal.
            EXPECT_THAT(playground.file("console.log"), HasSubstr("Magic breakpoint"));
        }
        expect_evidence(playground, answer, "hung");
    }
}

TEST(Hang, LongSilenceWhileExecutingIsNoHalt) {
    // About ten seconds without output: longer than the watchdog accepts silence.
    Playground playground;
    const auto driver = playground.driver("misbehave", "misbehave-hang-executing");
    const Answer answer = playground({"run", "--driver", driver, "--timeout-ticks", "500000000"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("still executes after 500 000 000 instructions"));
    expect_evidence(playground, answer, "hung");
}

TEST(Hang, WhileHaltedIsReportedWithItsAddress) {
    Playground playground;
    const auto driver = playground.driver("misbehave", "misbehave-hang-halted");
    const Answer answer = playground({"run", "--driver", driver});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("the processor is halted and nothing will wake it at "
                                         "misbehave-hang-halted.sys+0x"));
    expect_evidence(playground, answer, "hung");
}

TEST(Hang, WithSeveralProcessorsEndsToo) {
    // The others still serve their clock interrupts: neither silence nor the time breakpoint
    // detects it.
    for (const char* deed : {"misbehave-hang-executing", "misbehave-hang-halted"}) {
        Playground playground;
        const auto driver = playground.driver("misbehave", deed);
        const Answer answer =
            playground({"run", "--driver", driver, "--cpus", "2", "--timeout-ticks", "100000000"});
        EXPECT_EQ(answer.status, 1);
        EXPECT_THAT(answer.errors, HasSubstr(std::string{" at "} + deed + ".sys+0x"));
        expect_evidence(playground, answer, "hung");
    }
}

TEST(TripleFault, EndsTheRunWithTheRegisters) {
    Playground playground;
    const auto driver = playground.driver("misbehave", "misbehave-triple-fault");
    const Answer answer = playground({"run", "--driver", driver});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("triple fault on processor 0"));
    EXPECT_THAT(answer.errors, HasSubstr("  #BP (vector 3)\n      int3\n"));
    EXPECT_THAT(answer.errors, HasSubstr("then #DF (vector 8)"));
    EXPECT_THAT(answer.errors, HasSubstr("limit 0x0."));
    expect_files(playground, "bugcheck");
    EXPECT_THAT(playground.file("bochs.log"), HasSubstr("CR2="));
    EXPECT_EQ(playground.events("TripleFault").size(), 1U);
}

class EndedFromOutside : public testing::Test {
protected:
    // A run that would take a minute, with its emulator at work.
    pid_t begin() {
        const auto driver = playground.driver("misbehave", "misbehave-hang-executing");
        playground.start({"run", "--driver", driver});
        const auto emulator = playground.emulator(20s);
        EXPECT_TRUE(emulator);
        std::this_thread::sleep_for(1s);
        return emulator.value_or(-1);
    }

    Playground playground;
};

TEST_F(EndedFromOutside, ByControlC) {
    begin();
    playground.send(SIGINT);
    const Answer answer = playground.wait();
    EXPECT_EQ(answer.status, 130);
    EXPECT_THAT(answer.errors, HasSubstr("interrupted\n"));
    EXPECT_EQ(playground.summary()["reason"], "interrupted");
    expect_evidence(playground, answer, "failed");
}

TEST_F(EndedFromOutside, ByASignalToTheEmulator) {
    kill(begin(), SIGKILL);
    const Answer answer = playground.wait();
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("ended from outside by signal 9"));
    expect_evidence(playground, answer, "failed");
}

TEST_F(EndedFromOutside, ByASignalToTheTool) {
    begin();
    playground.send(SIGKILL);
    EXPECT_EQ(playground.wait().status, 128 + SIGKILL);
    for (int i = 0; i < 100 && playground.processes() > 0; ++i) {
        std::this_thread::sleep_for(50ms);
    }
    EXPECT_EQ(playground.processes(), 0U);  // the emulator ends with it
}

TEST_F(EndedFromOutside, AnEmulatorThatIsStoppedIsGivenUp) {
    kill(begin(), SIGSTOP);
    const Answer answer = playground.wait();
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("the emulator itself stopped answering"));
    expect_evidence(playground, answer, "hung");
}

// Lines of /proc/net/tcp that are in the state LISTEN and belong to the process.
std::size_t listening_sockets(pid_t process) {
    std::size_t count = 0;
    std::error_code ignored;
    const auto folder = std::filesystem::path{"/proc"} / std::to_string(process) / "fd";
    for (const auto& entry : std::filesystem::directory_iterator{folder, ignored}) {
        const std::string target = std::filesystem::read_symlink(entry.path(), ignored).string();
        count += target.starts_with("socket:") ? 1 : 0;
    }
    return count;
}

TEST_F(EndedFromOutside, TheEmulatorOpensNoSocket) {
    EXPECT_EQ(listening_sockets(begin()), 0U);
    playground.send(SIGINT);
    static_cast<void>(playground.wait());
}

TEST(TwoRuns, AtOnceDoNotDisturbEachOther) {
    Playground playground;
    Playground other;
    other.set("HVP_RUNS", playground.runs());
    playground.start({"run"});
    other.start({"run"});
    EXPECT_EQ(playground.wait().status, 0);
    EXPECT_EQ(other.wait().status, 0);
    std::size_t folders = 0;
    for (const auto& entry : std::filesystem::directory_iterator{playground.runs()}) {
        folders += entry.is_directory() && !entry.is_symlink() ? 1 : 0;
        if (!entry.is_symlink()) {
            EXPECT_TRUE(Json::accept(content(entry.path() / "summary.json")));
        }
    }
    EXPECT_EQ(folders, 2U);
    EXPECT_EQ(playground.summary()["result"], "passed");  // `latest` is one of them
}

}  // namespace
}  // namespace hvp::tests
