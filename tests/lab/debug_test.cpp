// `playground debug`: it stops where the processor's log says, and goes back from there.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <random>
#include <string>

#include "tests/lab/places.hpp"
#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Stops : public testing::TestWithParam<const char*> {};

// The head of the stop behind an exit, whose instruction has been executed.
std::string behind(const std::vector<Json>& exits, std::size_t index) {
    const Json& exit = exits[index];
    return fmt::format(
        "tick {} · processor 0 · VMX root operation, right after VM exit {} of {}: {}, "
        "qualification {}\n",
        exit["t"].get<std::uint64_t>() + 1, index + 1, exits.size(),
        exit["reason"].get<std::string>(), exit["qualification"].get<std::string>());
}

std::vector<Json> exits_of(const Playground& playground) {
    std::vector<Json> exits;
    for (const Json& event : playground.events("VmExit")) {
        if (event["from"] == "processor") {
            exits.push_back(event);
        }
    }
    return exits;
}

TEST_P(Stops, AreWhereTheLogSaysAndBackIsTheExitBefore) {
    Playground playground;
    ASSERT_EQ(playground({"run", GetParam(), "--all-events"}).status, 0);
    const std::vector<Json> exits = exits_of(playground);
    ASSERT_FALSE(exits.empty());
    std::mt19937 random{18};
    std::string script;
    std::vector<std::string> expected;
    std::vector<std::string> numbers;  // as the VMCS has them behind the exit
    for (int i = 0; i < (is_long() ? 20 : 3); ++i) {
        const std::size_t index = random() % exits.size();
        const auto tick = exits[index]["t"].get<std::uint64_t>();
        script += fmt::format("goto exit:{}\nback\ngoto tick:{}\n", index + 1, tick);
        expected.push_back(behind(exits, index));
        expected.push_back(index == 0 ? "there is no VM exit before" : behind(exits, index - 1));
        numbers.push_back(fmt::format("Exit reason                  = {:#x}\n",
                                      exits[index]["reason_number"].get<unsigned>()));
        expected.push_back(fmt::format("tick {} · processor 0 · ", tick));
    }
    playground.say(script + "quit\n");
    const Answer answer = playground({"debug", GetParam()});
    EXPECT_EQ(answer.status, 0);
    EXPECT_EQ(answer.errors, "");
    std::size_t at = answer.output.find("debug> goto");
    ASSERT_NE(at, std::string::npos);
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const std::size_t next =
            std::min(answer.output.find("debug> ", at + 1), answer.output.size());
        EXPECT_THAT(answer.output.substr(at, next - at), HasSubstr(expected[i]));
        if (i % 3 == 0) {
            EXPECT_THAT(answer.output.substr(at, next - at), HasSubstr(numbers[i / 3]));
        }
        at = next;
    }
    EXPECT_EQ(playground.processes(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Stages, Stops,
                         testing::Values("launch", "guest-state", "event-injection", "ept",
                                         "ept-identity"),
                         [](const auto& stage) {
                             std::string name = stage.param;
                             std::erase(name, '-');
                             return name;
                         });

TEST(Debug, ShowsWhatTheProcessorHolds) {
    Playground playground;
    playground.say("goto entry:1\nstep\nnext exit\nregisters\nmemory 0xfffff801a5e51000\n");
    const Answer answer = playground({"debug", "launch", "--at", "exit:hlt"});
    EXPECT_EQ(answer.status, 0);  // the end of the input ends the session
    EXPECT_THAT(answer.output, StartsWith("tick 460209 · processor 0 · VMX root operation, right "
                                          "after VM exit 1 of 1: HLT"));
    for (const char* words :
         {"  vmlaunch ", "Guest RIP                    = 0xfffff801",
          "hello_from_the_guest+0x0:", "guest (VMX non-root operation)",
          "launch_a_guest, stages/launch/driver.cpp:", "0xfffff801a5e51000 <bogus+       0>:"}) {
        EXPECT_THAT(answer.output, HasSubstr(words));
    }
}

TEST(Debug, StopsAtFunctionsOfDriverAndKernel) {
    Playground playground;
    playground.say(
        "break hvp_vm_exit\ncontinue\ncontinue\ngoto MmAllocateContiguousNodeMemory\ngoto "
        "no_such_one\n");
    const Answer answer = playground({"debug", "launch", "--at", "hello_from_the_guest"});
    EXPECT_EQ(answer.status, 0);
    EXPECT_THAT(answer.output,
                StartsWith("tick 458915 · processor 0 · guest (VMX non-root operation)\n"
                           "  at launch.sys+0x1d86  hello_from_the_guest"));
    for (const char* words : {"break at launch.sys+0x2ad1", "debug> continue\ntick 460209 ",
                              "no break is reached before the end of the run", "  at ntoskrnl.exe+",
                              "no_such_one: the PDBs of driver and kernel have no such function"}) {
        EXPECT_THAT(answer.output, HasSubstr(words));
    }
}

// The text between a line and the end of its block of code.
std::string block_after(const std::string& page, std::string_view line) {
    const std::size_t found = page.find(line);
    const std::size_t start = found + line.size();
    return found == std::string::npos ? "" : page.substr(start, page.find("```", start) - start);
}

TEST(Debug, AnswersAsItsPageShows) {
    const std::string page = content(source_folder() / "docs/debugging.md");
    Playground playground;
    playground.say("memory 0xfffff801a5e51dd0\nraw u /2\nquit\n");
    const Answer session = playground({"debug", "launch", "--at", "tick:460208"});
    EXPECT_EQ(session.output, block_after(page, " --at tick:460208\n"));
    playground.say("help\n");
    EXPECT_THAT(playground({"debug"}).output,
                HasSubstr("debug> help\n" + block_after(page, "The commands:\n\n```\n")));
}

TEST(Debug, MistakesInASessionAreSaid) {
    Playground playground;
    playground.say(
        "goto exit:9\nstep 0\nnext thing\nback now\nmemory x\nraw\nfrobnicate\nnext exit\n");
    const Answer answer = playground({"debug", "launch"});
    EXPECT_EQ(answer.status, 0);
    for (const char* words :
         {"exit:9: VM exits of this run: 1", "step takes a number from 1 to",
          "next takes exit or entry", "back takes nothing", "memory takes a hexadecimal address",
          "raw takes a command", "frobnicate: no such command; help lists them",
          "there is no VM exit after this place"}) {
        EXPECT_THAT(answer.output, HasSubstr(words));
    }
}

TEST(Debug, SaysWhyThereIsNoSuchPlace) {
    for (const auto& [at, words] :
         {std::pair{"exit:99", "VM exits of this run: 1"}, std::pair{"exit:CPUID", "there are HLT"},
          std::pair{"entry:7", "VM entries of this run: 1"},
          std::pair{"tick:99999999999", "the last tick"}}) {
        Playground playground;
        const Answer answer = playground({"debug", "launch", "--at", at});
        EXPECT_EQ(answer.status, 2) << at;
        EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
        EXPECT_THAT(answer.errors, HasSubstr(words));
        EXPECT_EQ(answer.output, "");
    }
}

TEST(Debug, EndsByASignalAndLeavesNothing) {
    Playground playground;
    playground.use_terminal(100);
    playground.start({"debug", "launch"});
    ASSERT_TRUE(playground.emulator(std::chrono::seconds{30}));
    playground.send(SIGINT);
    EXPECT_EQ(playground.wait().status, 130);
    EXPECT_EQ(playground.processes(), 0U);
    EXPECT_TRUE(std::filesystem::is_empty(playground.runs()));
}

}  // namespace
}  // namespace hvp::tests
