#include "lab/machine/debugger.hpp"

#include <gtest/gtest.h>

namespace hvp::lab {
namespace {

using namespace std::chrono_literals;

// What Bochs 2.7 writes when its machine starts, and when it stops for its debugger.
constexpr std::string_view start = "Next at t=0\r\n(0) [0x0000fffffff0] f000:fff0 (unk. ctxt)\r\n";
constexpr std::string_view stopped =
    "Next at t=8599900003\r\n(0) [0x0000000f0002] f000:0002 (unk. ctxt): jmp .-2\r\n<bochs:1> ";
constexpr std::string_view time_is_over =
    "(0) Caught time breakpoint\r\nNext at t=20000000\r\n(0) [0x0] jmp .-2\r\n<bochs:1> ";

constexpr DebuggerTalk::Machine one_processor{.processors = 1, .timeout_ticks = 20'000'000'000};
constexpr DebuggerTalk::Machine two_processors{.processors = 2, .timeout_ticks = 8'000'000'000};

TEST(DebuggerTalk, LeavesAMachineAloneThatWritesOutput) {
    DebuggerTalk talk{one_processor};
    static_cast<void>(talk.on_console(start, 0ms));
    for (auto now = 0ms; now < 60s; now += 1s) {
        EXPECT_FALSE(talk.on_log(1000, now).interrupt);
        EXPECT_FALSE(talk.on_time(now + 500ms).interrupt);
    }
    EXPECT_EQ(talk.ending(), Ending::ended);
}

TEST(DebuggerTalk, AsksASilentMachineForOneInstructionAndLetsItGoOn) {
    DebuggerTalk talk{one_processor};
    static_cast<void>(talk.on_console(start, 0ms));
    EXPECT_FALSE(talk.on_time(2900ms).interrupt);
    EXPECT_TRUE(talk.on_time(3s).interrupt);
    EXPECT_EQ(talk.on_console(stopped, 3100ms).type, "s\n");
    EXPECT_EQ(talk.on_console(stopped, 3200ms).type, "c\n");
    EXPECT_EQ(talk.ending(), Ending::ended);
    EXPECT_FALSE(talk.on_time(6s).interrupt);  // and the next silence counts from here
    EXPECT_TRUE(talk.on_time(6200ms).interrupt);
}

TEST(DebuggerTalk, CallsAMachineHaltedThatCannotExecuteOneInstruction) {
    DebuggerTalk talk{one_processor};
    static_cast<void>(talk.on_console(start, 0ms));
    EXPECT_TRUE(talk.on_time(3s).interrupt);
    EXPECT_EQ(talk.on_console(stopped, 3100ms).type, "s\n");
    EXPECT_TRUE(talk.on_console("s\r\n", 3100ms).type.empty());
    EXPECT_TRUE(talk.on_time(5200ms).interrupt);
    EXPECT_TRUE(talk.on_console(stopped, 5300ms).type.contains("regs\n"));
    EXPECT_EQ(talk.ending(), Ending::halted);
}

TEST(DebuggerTalk, GathersEvidenceWhenTheTimeIsOver) {
    DebuggerTalk talk{one_processor};
    static_cast<void>(talk.on_console(start, 0ms));
    const auto action = talk.on_console(time_is_over, 1s);
    EXPECT_TRUE(action.type.starts_with("set $cpu = 0\nregs\n"));
    EXPECT_TRUE(action.type.ends_with("q\n"));
    EXPECT_EQ(talk.ending(), Ending::timeout);
    static_cast<void>(talk.on_console("rip: fffff800_00001234\r\n<bochs:2> ", 1s));
    EXPECT_TRUE(talk.evidence().contains("rip: fffff800_00001234"));
}

TEST(DebuggerTalk, ATimeThatIsOverDuringAProbeIsOver) {
    DebuggerTalk talk{one_processor};
    static_cast<void>(talk.on_console(start, 0ms));
    EXPECT_TRUE(talk.on_time(3s).interrupt);
    static_cast<void>(talk.on_console(time_is_over, 3100ms));
    EXPECT_EQ(talk.ending(), Ending::timeout);
}

TEST(DebuggerTalk, KnowsAPromptThatComesInPieces) {
    DebuggerTalk talk{one_processor};
    static_cast<void>(talk.on_console(start, 0ms));
    EXPECT_TRUE(talk.on_time(3s).interrupt);
    std::string typed;
    for (const char byte : stopped) {
        typed += talk.on_console({&byte, 1}, 3100ms).type;
    }
    EXPECT_EQ(typed, "s\n");
}

// With several processors the kernel's clock stops the machine.
TEST(DebuggerTalk, GathersEvidenceWhenTheMachineStopsItselfLate) {
    DebuggerTalk talk{two_processors};
    static_cast<void>(talk.on_console(start, 0ms));
    EXPECT_EQ(talk.on_console(stopped, 1s).type, "s all 5000\n");  // out of the clock interrupt
    EXPECT_EQ(talk.on_console("(1) Magic breakpoint\r\n<bochs:2> ", 1s).type, "s all 5000\n");
    EXPECT_TRUE(talk.on_console(stopped, 1s).type.contains("set $cpu = 1\nregs\n"));
    EXPECT_EQ(talk.ending(), Ending::timeout);
}

TEST(DebuggerTalk, AMachineThatStopsItselfEarlyGoesOn) {
    DebuggerTalk talk{two_processors};
    static_cast<void>(talk.on_console(start, 0ms));
    const auto early = "(0) Magic breakpoint\r\nNext at t=7000000000\r\n(0) x\r\n<bochs:1> ";
    EXPECT_EQ(talk.on_console(early, 1s).type, "c\n");
    EXPECT_EQ(talk.ending(), Ending::ended);
}

// The time breakpoint never fires there and `s` proves nothing: without clock interrupts we look at
// the ticks.
TEST(DebuggerTalk, LooksAtTheTicksItselfWithSeveralProcessors) {
    DebuggerTalk talk{two_processors};
    static_cast<void>(talk.on_console(start, 0ms));
    EXPECT_FALSE(talk.on_log(8'000'000'000, 1s).interrupt_in_pause);
    EXPECT_TRUE(talk.on_log(8'100'000'000, 2s).interrupt_in_pause);
    EXPECT_FALSE(talk.on_log(8'200'000'000, 2s).interrupt_in_pause);  // once is enough
    const auto action = talk.on_console(stopped, 2100ms);
    EXPECT_TRUE(action.type.contains("set $cpu = 1\nregs\n"));
    EXPECT_EQ(talk.ending(), Ending::timeout);
}

TEST(DebuggerTalk, AMachineThatIsLateIsLateEvenIfItDoesNotAnswer) {
    DebuggerTalk talk{two_processors};
    static_cast<void>(talk.on_console(start, 0ms));
    EXPECT_TRUE(talk.on_log(8'100'000'000, 2s).interrupt_in_pause);
    EXPECT_TRUE(talk.on_time(12s).kill);
    EXPECT_EQ(talk.ending(), Ending::timeout);
}

TEST(DebuggerTalk, ASilentMachineWithSeveralProcessorsRunsUntilItsTicksAreUsedUp) {
    DebuggerTalk talk{two_processors};
    static_cast<void>(talk.on_console(start, 0ms));
    EXPECT_TRUE(talk.on_time(3s).interrupt);
    EXPECT_EQ(talk.on_console("Next at t=7000000000\r\n(0) x\r\n<bochs:1> ", 3100ms).type, "c\n");
    EXPECT_TRUE(talk.on_time(7s).interrupt);
    EXPECT_TRUE(talk.on_console(stopped, 7100ms).type.ends_with("q\n"));
    EXPECT_EQ(talk.ending(), Ending::timeout);
}

TEST(DebuggerTalk, KillsAnEmulatorThatDoesNotAnswer) {
    DebuggerTalk talk{one_processor};
    static_cast<void>(talk.on_console(start, 0ms));
    EXPECT_TRUE(talk.on_time(3s).interrupt);
    EXPECT_FALSE(talk.on_time(12s).kill);
    EXPECT_TRUE(talk.on_time(13s).kill);
    EXPECT_EQ(talk.ending(), Ending::unresponsive);
}

TEST(DebuggerTalk, KillsAnEmulatorThatNeverStarts) {
    DebuggerTalk talk{one_processor};
    EXPECT_FALSE(talk.on_time(59s).interrupt);
    EXPECT_TRUE(talk.on_time(60s).kill);
    EXPECT_EQ(talk.ending(), Ending::unresponsive);
}

}  // namespace
}  // namespace hvp::lab
