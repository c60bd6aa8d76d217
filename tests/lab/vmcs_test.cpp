// `run --record` and `vmcs`: what a replay finds in the VMCS is what the processor's log says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/lab/places.hpp"
#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;

std::vector<Json> recorded(const Playground& playground) {
    std::vector<Json> states;
    std::istringstream lines{playground.file("vmcs.jsonl")};
    for (std::string line; std::getline(lines, line);) {
        states.push_back(Json::parse(line));
    }
    return states;
}

std::uint64_t number(const Json& text) {
    return std::stoull(text.get<std::string>(), nullptr, 0);
}

class RecordedStage : public testing::TestWithParam<const char*> {};

TEST_P(RecordedStage, HasEachEntryAndExitOfTheProcessorsLog) {
    Playground playground;
    const Answer answer = playground({"run", GetParam(), "--record"});
    ASSERT_EQ(answer.status, 0) << answer.errors;
    EXPECT_THAT(answer.output, HasSubstr(" in vmcs.jsonl; ./playground vmcs shows them\n"));
    std::vector<Json> entries;
    std::vector<Json> exits;
    std::uint64_t reason = 0;
    std::uint64_t qualification = 0;
    for (const Json& state : recorded(playground)) {
        const Json& fields = state["fields"];
        reason = fields.contains("0x4402") ? number(fields["0x4402"]) : reason;
        qualification = fields.contains("0x6400") ? number(fields["0x6400"]) : qualification;
        auto& states = state["at"] == "exit" ? exits : entries;
        states.push_back({{"t", state["t"]}, {"n", state["n"]}});
        if (state["at"] == "exit") {
            states.back()["reason"] = reason;
            states.back()["qualification"] = qualification;
        }
    }
    std::vector<Json> logged_entries;
    std::vector<Json> logged_exits;
    for (const Json& event : playground.all_events()) {
        if (event["from"] != "processor") {
            continue;
        }
        if (event["event"] == "VmEntry") {
            logged_entries.push_back({{"t", event["t"]}, {"n", logged_entries.size() + 1}});
        } else if (event["event"] == "VmExit") {
            logged_exits.push_back({{"t", event["t"]},
                                    {"n", logged_exits.size() + 1},
                                    {"reason", event["reason_number"]},
                                    {"qualification", number(event["qualification"])}});
        }
    }
    EXPECT_FALSE(exits.empty());
    EXPECT_EQ(entries, logged_entries);
    EXPECT_EQ(exits, logged_exits);
}

INSTANTIATE_TEST_SUITE_P(Each, RecordedStage,
                         testing::Values("launch", "guest-state", "ept", "ept-identity",
                                         "event-injection"),
                         [](const auto& info) {
                             std::string name = info.param;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

TEST(Vmcs, ShowsWhatTheRecordingHas) {
    Playground playground;
    ASSERT_EQ(playground({"run", "guest-state", "--record"}).status, 0);
    const Answer exit = playground({"vmcs", "--at", "exit:2"});
    EXPECT_EQ(exit.status, 0) << exit.errors;
    EXPECT_THAT(exit.output, HasSubstr("exit 2: exit 10 CPUID, at instruction "));
    EXPECT_THAT(exit.output, HasSubstr("* has changed since entry 2.\n"));
    EXPECT_THAT(exit.output,
                ContainsRegex("Guest RIP: guest-state.sys[^\n]+, [^\n]*hpp:[0-9]+: cpuid\n"));
    // The recording is altered: what is shown follows.
    std::string text = playground.file("vmcs.jsonl");
    const std::string before = R"("0x4402":"0xa")";
    text.replace(text.find(before), before.size(), R"("0x4402":"0x12")");
    std::ofstream{playground.runs() / "latest" / "vmcs.jsonl"} << text;
    EXPECT_THAT(playground({"vmcs", "--at", "exit:2"}).output, HasSubstr("exit 2: exit 18 VMCALL"));
    EXPECT_THAT(playground({"vmcs", "--diff", "entry:1", "exit:2"}).output,
                HasSubstr("from entry 1 to exit 2: exit 18 VMCALL"));
    EXPECT_EQ(Json::parse(playground({"vmcs", "--json"}).output)["at"], "entry");
}

// Of a run in which no VM entry failed, each rule has its state; from what is recorded.
TEST(ExplainRun, HasTheStateOfEachRuleAtTheFirstEntry) {
    Playground playground;
    ASSERT_EQ(playground({"run", "launch", "--record"}).status, 0);
    const std::string folder = playground.runs() / "latest";
    const Answer good = playground({"explain", folder});
    EXPECT_EQ(good.status, 0) << good.errors;
    EXPECT_THAT(good.output, HasSubstr("entry 1, at instruction "));
    EXPECT_THAT(good.output, HasSubstr("\n  kept: pin-must-be-1, "));
    EXPECT_THAT(good.output, HasSubstr("\n  taken as kept: basic-mode, "));
    EXPECT_THAT(good.output, HasSubstr("No broken rule was found"));
    std::string text = playground.file("vmcs.jsonl");
    const std::string busy = R"("0x4822":"0x8b")";
    text.replace(text.find(busy), busy.size(), R"("0x4822":"0x89")");
    std::ofstream{playground.runs() / "latest" / "vmcs.jsonl"} << text;
    const Answer altered = playground({"explain", folder});
    EXPECT_EQ(altered.status, 1);
    EXPECT_THAT(altered.output, HasSubstr("\n  broken: guest-tr-type\n"));
    const Json json = Json::parse(playground({"explain", folder, "--json"}).output);
    EXPECT_EQ(json["rule_states"].size(), json["rules"]["all"]);
    // Two runs are compared: here one with itself, then with itself altered.
    const auto copy = playground.folder() / "copy";
    std::filesystem::copy(folder, copy, std::filesystem::copy_options::recursive);
    EXPECT_THAT(
        playground({"diff", folder, copy}).output,
        AllOf(HasSubstr("Summary: the same\nStory: the same\n"), HasSubstr("nothing differs\n")));
    Json summary = Json::parse(content(copy / "summary.json"));
    summary["exits"]["0"]["HLT"] = 2;
    std::ofstream{copy / "summary.json"} << summary;
    EXPECT_THAT(playground({"diff", folder, copy}).output,
                HasSubstr("Summary:\n  exits 0 HLT: 1 -> 2\n"));
}

// What is missing is made by running the same machine again; the options are those of the run.
TEST(Vmcs, RecordsARunThatWasNotRecorded) {
    Playground playground;
    const std::vector<std::string> run{"run", "launch", "--odd-state", "--seed", "7"};
    std::vector<std::string> recorded_run = run;
    recorded_run.emplace_back("--record");
    ASSERT_EQ(playground(recorded_run).status, 0);
    const std::string expected = playground.file("vmcs.jsonl");
    ASSERT_EQ(playground(run).status, 0);
    EXPECT_EQ(playground.file("vmcs.jsonl"), "");
    const auto folder = std::filesystem::canonical(playground.runs() / "latest");
    const std::string story = playground.file("story.txt");
    const Answer answer = playground({"vmcs"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    EXPECT_EQ(answer.errors, "");
    EXPECT_EQ(playground.file("vmcs.jsonl"), expected);
    EXPECT_EQ(playground.file("story.txt"), story);
    EXPECT_EQ(std::filesystem::canonical(playground.runs() / "latest"), folder);
    EXPECT_FALSE(std::filesystem::exists(folder / "work"));

    const auto refuses = [&](const Json& summary, int status, const char* why) {
        std::filesystem::remove(folder / "vmcs.jsonl");
        std::ofstream{folder / "summary.json"} << summary;
        const Answer refused = playground({"vmcs"});
        EXPECT_EQ(refused.status, status) << why;
        EXPECT_EQ(refused.error_lines(), 1U) << refused.errors;
        EXPECT_THAT(refused.errors, HasSubstr(why));
        EXPECT_FALSE(std::filesystem::exists(folder / "vmcs.jsonl")) << why;
    };
    const Json summary = playground.summary();
    Json other = summary;
    other["driver"]["sha256"] = "00";
    refuses(other, 1, "launch.sys is not the one of this run");
    other = summary;
    other["options"].erase("seed");
    refuses(other, 1, "does not have the options of the run; run it again with --record");
    other = summary;
    other["machine"]["processors"] = 2;
    refuses(other, 2, "of a run with --cpus 1");
    // The log of another run: what the replay does not have is not recorded.
    std::ofstream{folder / "summary.json"} << summary;
    std::string events = playground.file("events.jsonl");
    const std::string reason = R"("reason":"HLT","reason_number":12)";
    events.replace(events.find(reason), reason.size(), R"("reason":"CPUID","reason_number":10)");
    std::ofstream{folder / "events.jsonl"} << events;
    const Answer partly = playground({"vmcs"});
    EXPECT_EQ(partly.status, 0);
    EXPECT_THAT(partly.errors,
                HasSubstr("1 VM entry or exit in vmcs.jsonl; the last 1 left out: the "
                          "replay did not come to exit 1\n"));
}

TEST(Vmcs, SaysWhatIsWrongInOneLine) {
    Playground playground;
    struct Wrong {
        std::vector<std::string> arguments;
        const char* says;
    };
    ASSERT_EQ(playground({"run", "launch", "--record"}).status, 0);
    for (const Wrong& wrong :
         {Wrong{{"vmcs", "--at", "exit:2"}, "exit:2: the recording has 1 exit\n"},
          Wrong{{"vmcs", "--at", "exit:0"}, "a moment is exit:N or entry:N"},
          Wrong{{"vmcs", "--at", "exit:1x"}, "a moment is exit:N or entry:N"},
          Wrong{{"vmcs", "/nowhere"}, "/nowhere is no folder of a run"},
          Wrong{{"vmcs", "--diff", "exit:1"}, "--diff"},
          Wrong{{"run", "launch", "--record", "--cpus", "2"}, "--cpus 1"}}) {
        const Answer answer = playground(wrong.arguments);
        EXPECT_EQ(answer.status, 2) << wrong.says;
        EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
        EXPECT_THAT(answer.errors, HasSubstr(wrong.says));
    }
    std::ofstream{playground.runs() / "latest" / "vmcs.jsonl"} << "nonsense\n";
    const Answer damaged = playground({"vmcs"});
    EXPECT_EQ(damaged.status, 1);
    EXPECT_THAT(damaged.errors, HasSubstr("vmcs.jsonl: line 1 is no state of a guest"));
}

TEST(Vmcs, AFailedEntryIsAnEntry) {
    Playground playground;
    const std::string driver = drivers_folder() / "broken-guest-rflags-bit-1-clear.sys";
    EXPECT_EQ(playground({"run", "--driver", driver, "--record"}).status, 1);
    const Answer answer = playground({"vmcs"});
    EXPECT_THAT(answer.output, HasSubstr("failed entry 1, at instruction "));
    EXPECT_THAT(answer.output, HasSubstr("  Guest RIP "));
    EXPECT_THAT(playground({"vmcs", "--all"}).output, HasSubstr("Guest RFLAGS "));
}

}  // namespace
}  // namespace hvp::tests
