// Wrong commands, and files that are not drivers: an exit status and a line that helps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

struct Mistake {
    const char* name;
    std::vector<std::string> arguments;
    const char* help;  ///< what the line has to contain
};

std::ostream& operator<<(std::ostream& stream, const Mistake& mistake) {
    return stream << mistake.name;
}

class BadUsage : public testing::TestWithParam<Mistake> {};

TEST_P(BadUsage, EndsWithStatus2AndOneLineThatHelps) {
    Playground playground;
    const Answer answer = playground(GetParam().arguments);
    EXPECT_EQ(answer.status, 2);
    EXPECT_THAT(answer.errors, HasSubstr(GetParam().help));
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
    EXPECT_EQ(answer.output, "");
    EXPECT_FALSE(std::filesystem::exists(playground.runs()));
}

INSTANTIATE_TEST_SUITE_P(
    Mistakes, BadUsage,
    testing::Values(
        Mistake{"Command", {"rnu"}, "unknown command rnu; did you mean run?"},
        Mistake{"CommandOfNoKind", {"frobnicate"}, "--help"},
        Mistake{"TestWithoutTheScript", {"test", "--all"}, "by the script ./playground"},
        Mistake{"DebugNowhere", {"debug", "--at", "exit:"}, "this is no place; write exit:3"},
        Mistake{"DebugAtZero", {"debug", "--at", "exit:0"}, "count from 1"},
        Mistake{"DebugNoNumber", {"debug", "--at", "tick:12x"}, "this is no place"},
        Mistake{"DebugProcessors", {"debug", "--cpus", "2"}, "debug shows one processor"},
        Mistake{"ExplainNothing", {"explain"}, "--exit 48"},
        Mistake{"ExplainNoFile", {"explain", "/no/such/dump"}, "/no/such/dump"},
        Mistake{"ExplainFieldWithATypo",
                {"explain", "--field", "GUEST_RIPP"},
                "did you mean GUEST_RIP?"},
        Mistake{"ExplainBoth", {"explain", "--exit", "48", "-"}, "not both"},
        Mistake{"ExplainModel",
                {"explain", "--exit", "48", "--model", "skylake"},
                "did you mean corei7_skylake_x?"},
        Mistake{"Rule", {"rules", "tr-tipe"}, "did you mean tr-type?"},
        Mistake{"RuleOfNoKind", {"rules", "xyzzy"}, "./playground rules shows all of them"},
        Mistake{"Stage", {"run", "lunch"}, "there is no stage lunch; did you mean launch?"},
        Mistake{"StageOfNoKind", {"run", "xyzzy"}, "./playground list"},
        Mistake{"StageWithAPath", {"run", "../launch"}, "there is no stage ../launch"},
        Mistake{"Option", {"run", "--modle", "tigerlake"}, "did you mean --model?"},
        Mistake{"Model", {"run", "--model", "skylake"}, "did you mean corei7_skylake_x?"},
        Mistake{"ModelOfNoKind", {"run", "--model", "z80"}, "tigerlake"},
        Mistake{"ModelWithout64Bits", {"run", "--model", "core_duo_t2400_yonah"}, "64-bit"},
        Mistake{"NoProcessors", {"run", "--cpus", "0"}, "1"},
        Mistake{"TooManyProcessors", {"run", "--cpus", "9"}, "8"},
        Mistake{
            "ProcessorBehindTheLast", {"run", "--cpus", "4", "--processor", "4"}, "there are 4"},
        Mistake{"ProcessorOfOne", {"run", "--processor", "1"}, "--cpus gives more"},
        Mistake{"ProcessorIsNoNumber", {"run", "--processor", "last"}, "--processor"},
        Mistake{"LittleMemory", {"run", "--memory", "63"}, "64"},
        Mistake{"MuchMemory", {"run", "--memory", "4097"}, "4096"},
        Mistake{"MemoryIsNoNumber", {"run", "--memory", "much"}, "--memory"},
        Mistake{"NegativeMemory", {"run", "--memory", "-5"}, "--memory"},
        Mistake{"NoLoads", {"run", "--loads", "0"}, "--loads"},
        Mistake{"NoTicks", {"run", "--timeout-ticks", "0"}, "--timeout-ticks"},
        Mistake{"Seed", {"run", "--seed", "luck"}, "--seed"},
        Mistake{"NegativeSeed", {"run", "--seed", "-1"}, "--seed: -1 is not a whole number from 0"},
        Mistake{"LargeSeed",
                {"run", "--seed", "18446744073709551616"},
                "--seed: 18446744073709551616 is not a whole number from 0"},
        Mistake{"NegativeProcessor",
                {"run", "--processor", "-1"},
                "--processor: -1 is not a whole number from 0 to 7"},
        Mistake{"VeryManyProcessors",
                {"run", "--cpus", "99999999999999999999"},
                "--cpus: 99999999999999999999 is not a whole number from 1 to 8"},
        Mistake{"ProcessorsThatWrapAround",
                {"run", "--cpus", "4294967298"},
                "--cpus: 4294967298 is not a whole number from 1 to 8"},
        Mistake{"HalfALoad", {"run", "--loads", "1.5"}, "--loads: 1.5 is not a whole number"},
        Mistake{"VeryManyTicks",
                {"run", "--timeout-ticks", "99999999999999999999"},
                "--timeout-ticks: 99999999999999999999 is not a whole number from 1 to"},
        Mistake{"NegativeAllocation",
                {"run", "--fail-allocation", "-1"},
                "--fail-allocation: -1 is not a whole number from 1 to 1000000"},
        Mistake{"ManyMeasurements",
                {"bench", "startup", "-n", "99999999999999999999"},
                "-n: 99999999999999999999 is not a whole number from 1 to 1000"},
        Mistake{"EmptySeed", {"run", "--seed", ""}, "--seed: an empty word is no value"},
        Mistake{"EmptyDriver", {"run", "--driver", ""}, "--driver: an empty word is no value"},
        Mistake{"EmptyStage", {"run", ""}, "stage: an empty word is no value"},
        Mistake{"EmptyDump", {"explain", ""}, "file: an empty word is no value"},
        Mistake{"EmptyExit", {"explain", "--exit", ""}, "--exit: an empty word is no value"},
        Mistake{"EmptyExercise", {"unbreak", ""}, "name: an empty word is no value"},
        Mistake{"StageOfNoCharacters", {"run", "\xFF\x1B[31m"}, R"(stage \xff\x1b[31m;)"},
        Mistake{"DumpOfNoCharacters", {"explain", "\xFF\n"}, R"(cannot read \xff\x0a: No such)"},
        Mistake{"FieldOfNoCharacters",
                {"explain", "--json", "--field", "\xC3\x1B"},
                R"(--field \xc3\x1b: no such field)"},
        Mistake{"RuleOfNoCharacters", {"rules", "\xFF"}, R"(no rule has \xff)"},
        Mistake{"EmptyCommand", {""}, "unknown command ''"},
        Mistake{"LargeExit",
                {"explain", "--exit", "99999999999999999999"},
                "--exit 99999999999999999999: this is no number"},
        Mistake{"Firmware", {"run", "--firmware-vmx", "on"}, "locked-on"},
        Mistake{"ValueIsMissing", {"run", "--model"}, "--model"},
        Mistake{"TwoStages", {"run", "launch", "launch"}, "unknown argument launch"},
        Mistake{"StageAndDriver", {"run", "launch", "--driver", "/dev/null"}, "not both"},
        Mistake{"DriverIsMissing", {"run", "--driver", "nowhere.sys"}, "there is no such file"},
        Mistake{"DriverIsAFolder", {"run", "--driver", "/tmp"}, "this is no file"},
        Mistake{"ALogLessStage", {"run", "launch", "--no-processor-log"}, "--driver"},
        Mistake{"DiffOfOne", {"diff", "launch"}, "after"},
        Mistake{"DiffOfAStageOfNoKind",
                {"diff", "launch", "lunch"},
                "there is no stage lunch; did you mean launch?"},
        Mistake{"Benchmark", {"bench", "everything"}, "startup"},
        Mistake{"BenchmarkThatIsExact", {"bench", "exits", "-n", "3"}, "no -n"},
        Mistake{"BenchmarkOfEptIsExact", {"bench", "ept", "-n", "3"}, "no -n"},
        Mistake{"BenchmarkIsMissing", {"bench"}, "name"}),
    [](const auto& instance) { return std::string{instance.param.name}; });

// A number has one meaning, however it is written: no octal ones.
TEST(Numbers, AreDecimalOrMarked) {
    for (const char* const typed : {"0100", "0x64"}) {
        Playground playground;
        EXPECT_EQ(playground({"run", "--memory", typed}).status, 0);
        EXPECT_EQ(playground.summary()["machine"]["memory_mib"], 100) << typed;
    }
}

// What cannot be read is said, not taken for an empty dump.
TEST(StandardInput, ThatIsAFolderCannotBeRead) {
    Playground playground;
    playground.read_input_from("/");
    const Answer answer = playground({"explain", "-"});
    EXPECT_EQ(answer.status, 2);
    EXPECT_EQ(answer.errors, "playground: cannot read standard input: Is a directory\n");
}

class LostOutput : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(LostOutput, IsAFailureWithASentence) {
    for (const auto& [file, why] : {std::pair{"/dev/full", "No space left on device"},
                                    std::pair{"", "Bad file descriptor"}}) {
        Playground playground;
        playground.write("dump.txt", "guest_rip = 0x1000\n");
        playground.write_output_to(file);
        const Answer answer = playground(GetParam());
        EXPECT_EQ(answer.status, 1) << file;
        EXPECT_EQ(answer.errors,
                  std::string{"playground: standard output cannot be written: "} + why + "\n");
    }
}

INSTANTIATE_TEST_SUITE_P(OfEveryCommand, LostOutput,
                         testing::ValuesIn(std::vector<std::vector<std::string>>{
                             {"--help"},
                             {},
                             {"run"},
                             {"run", "--json"},
                             {"list"},
                             {"break"},
                             {"unbreak"},
                             {"diff", "launch", "launch"},
                             {"diff", "launch", "ept"},
                             {"rules"},
                             {"rules", "--page"},
                             {"rules", "tr-type"},
                             {"explain", "dump.txt"},
                             {"explain", "dump.txt", "--json"},
                             {"explain", "--exit", "48"},
                             {"bench", "startup", "-n", "1"}}),
                         [](const auto& instance) {
                             std::string name = std::to_string(instance.index);
                             for (const std::string& word : instance.param) {
                                 name += "_" + word;
                             }
                             std::erase_if(name,
                                           [](char c) { return c != '_' && std::isalnum(c) == 0; });
                             return name;
                         });

TEST(Help, IsThereForEveryCommand) {
    for (const std::vector<std::string>& arguments :
         std::vector<std::vector<std::string>>{{"--help"},
                                               {"-h"},
                                               {},
                                               {"run", "--help"},
                                               {"test", "--help"},
                                               {"diff", "--help"},
                                               {"list", "--help"},
                                               {"clean", "--help"},
                                               {"bench", "--help"}}) {
        Playground playground;
        const Answer answer = playground(arguments);
        EXPECT_EQ(answer.status, 0);
        EXPECT_THAT(answer.output, HasSubstr("Usage: playground"));
        EXPECT_EQ(answer.errors, "");
    }
}

TEST(List, ShowsTheStagesInTheOrderOfReading) {
    Playground playground;
    const Answer answer = playground({"list"});
    EXPECT_EQ(answer.status, 0);
    EXPECT_THAT(answer.output, StartsWith("launch "));
    EXPECT_THAT(answer.output, HasSubstr("\nguest-state "));
}

void expect_in_this_order(const std::string& text, std::initializer_list<const char*> parts) {
    std::size_t at = 0;
    for (const char* const part : parts) {
        at = text.find(part, at);
        ASSERT_NE(at, std::string::npos) << part;
    }
}

TEST(Diff, ShowsWhatAStageAddsInTheOrderOfReading) {
    Playground playground;
    const Answer answer = playground({"diff", "launch", "guest-state"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_in_this_order(
        answer.output,
        {"driver.cpp: from launch to guest-state\n", "--- a/stages/launch/driver.cpp\n",
         "+++ b/stages/guest-state/driver.cpp\n", "guest.hpp: only in guest-state\n",
         "guest.cpp: only in guest-state\n", "+++ b/stages/guest-state/guest.cpp\n",
         "+void guest_main(void* argument) {", "journal.cpp: from launch to guest-state\n",
         "collatz.hpp: only in launch\n", "guest-state also uses\n",
         "  hypervisor/vcpu/virtual_processor.hpp\n      A virtual processor: ",
         "  platform/vmm_memory.hpp\n"});
    EXPECT_THAT(answer.output, Not(HasSubstr("\033"))) << "no colour in a pipe";
    EXPECT_THAT(answer.output, Not(HasSubstr("hypervisor/vmcs/current_vmcs.hpp\n  ")))
        << "launch uses it, too";
}

TEST(Diff, ShowsWhatAnEptNeeds) {
    Playground playground;
    const Answer answer = playground({"diff", "guest-state", "ept"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_in_this_order(
        answer.output,
        {"driver.cpp: from guest-state to ept\n",
         "+        const Expected<ept::Limits> limits = vmx::check_ept_support();\n",
         "guest.cpp: from guest-state to ept\n", "memory.hpp: only in ept\n",
         "views.cpp: only in ept\n", "ept also uses\n",
         "  hypervisor/guest_memory/working_set.hpp\n      The working set of a guest: ",
         "  hypervisor/ept/tables.hpp\n      One EPT: "});
    EXPECT_THAT(answer.output, Not(HasSubstr("hypervisor/vcpu/virtual_processor.hpp\n  ")))
        << "guest-state uses it, too";
}

// The guest's stack, the judgement, and what the guest does.
TEST(Diff, ShowsWhatInjectionNeeds) {
    Playground playground;
    const Answer answer = playground({"diff", "guest-state", "event-injection"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    expect_in_this_order(
        answer.output,
        {"driver.cpp: from guest-state to event-injection\n",
         "+    alignas(16) std::array<std::byte, guest_stack_bytes> stack;",
         "-                                .stack_end = setting.memory.guest_stack_end()};\n",
         "+                                .stack_end = stack.data() + stack.size()};\n",
         "+    return event_injection::report(setting.provider, journal, vmm.processor);\n",
         "guest.cpp: from guest-state to event-injection\n", "+    } __except ("});
    EXPECT_THAT(answer.output, Not(HasSubstr("hypervisor/vcpu/virtual_processor.hpp\n  ")))
        << "guest-state uses it, too";
}

TEST(Diff, HasColourOnATerminalOnly) {
    Playground playground;
    playground.use_terminal(100);
    playground.set("TERM", "xterm");
    EXPECT_THAT(playground({"diff", "launch", "guest-state"}).output, HasSubstr("\033[1m"));
    playground.set("NO_COLOR", "1");
    EXPECT_THAT(playground({"diff", "launch", "guest-state"}).output, Not(HasSubstr("\033")));
}

TEST(Diff, OfAStageWithItselfIsNone) {
    Playground playground;
    const Answer answer = playground({"diff", "launch", "launch"});
    EXPECT_EQ(answer.status, 0);
    EXPECT_EQ(answer.output, "launch and launch are the same\n");
}

// A driver that the lab has to refuse: the run fails, and says why.
void expect_refused_image(std::string_view bytes, const char* why) {
    Playground playground;
    const auto driver = playground.write("odd.sys", bytes);
    const Answer answer = playground({"run", "--driver", driver});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("odd: the driver cannot be loaded: "));
    EXPECT_THAT(answer.errors, HasSubstr(why));
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
    EXPECT_EQ(playground.summary()["result"], "failed");
}

TEST(OddDriver, TextIsNoDriver) {
    expect_refused_image("This is a letter, not a driver.\n", "");
}

TEST(OddDriver, HalfADriverIsNone) {
    Playground playground;
    const std::string whole = content(playground.driver("launch", "whole"));
    ASSERT_GT(whole.size(), 4096U);
    expect_refused_image(whole.substr(0, whole.size() / 2), "");
    expect_refused_image(whole.substr(0, 64), "");
}

TEST(OddDriver, AnEmptyFileIsBadUsage) {
    Playground playground;
    const Answer answer = playground({"run", "--driver", playground.write("empty.sys", "")});
    EXPECT_EQ(answer.status, 2);
    EXPECT_THAT(answer.errors, HasSubstr("empty.sys is empty"));
}

TEST(OddDriver, MissingImportsAreNamed) {
    Playground playground;
    std::string bytes = content(playground.driver("launch", "whole"));
    const std::string import = "MmGetPhysicalAddress";
    const std::size_t place = bytes.find(import);
    ASSERT_NE(place, std::string::npos);
    bytes.replace(place, import.size(), "MmGetPhysicalAdventu");
    const Answer answer = playground({"run", "--driver", playground.write("adventure.sys", bytes)});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("MmGetPhysicalAdventu"));
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
}

TEST(ForeignDriver, PassesWithAPathThatHasSpaces) {
    Playground playground;
    std::filesystem::create_directory(playground.folder() / "my drivers");
    const auto plain = playground.driver("launch", "launch");
    const auto driver = playground.folder() / "my drivers" / "a driver.sys";
    std::filesystem::copy_file(plain, driver);
    const Answer answer = playground({"run", "--driver", driver});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_EQ(playground.summary()["driver"]["file"], "a driver.sys");
    EXPECT_TRUE(playground.summary()["stage"].is_null());
    EXPECT_EQ(playground.summary()["witnesses"], "agree");
}

}  // namespace
}  // namespace hvp::tests
