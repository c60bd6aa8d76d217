#include "tool/replay/recorder.hpp"

#include <gtest/gtest.h>

#include "hypervisor/vmcs/fields.hpp"
#include "lab/machine/vmcs_layout.hpp"

namespace hvp::tool {
namespace {

using Moment = RecordedState::Moment;
constexpr std::uint64_t vmcs = 0x1000;

Event processor_event(std::uint64_t t, std::string name, Json fields) {
    return {.t = t,
            .cpu = 0,
            .from = "processor",
            .name = std::move(name),
            .fields = std::move(fields)};
}

// An entry, its exit by CPUID, and an entry that fails.
Timeline short_run() {
    constexpr std::uint64_t most_of_a_kind = 10;
    Timeline timeline{most_of_a_kind};
    timeline.add(processor_event(100, "VmLaunch", {{"vmcs", "0x1000"}}));
    timeline.add(processor_event(100, "VmEntry", Json::object()));
    timeline.add(processor_event(107, "VmExit", {{"reason_number", 10}, {"qualification", "0x3"}}));
    timeline.add(processor_event(150, "VmResume", {{"vmcs", "0x1000"}}));
    timeline.add(processor_event(150, "EntryFailure", Json::object()));
    timeline.sort();
    return timeline;
}

lab::DebuggerStop stop_at(std::uint64_t tick, std::string why) {
    return {.why = std::move(why), .tick = tick, .registers = {{"rax", 5}}, .words = {}};
}

lab::DebuggerStop exit_at(std::uint64_t tick, std::uint32_t reason, std::uint32_t qualification) {
    lab::DebuggerStop stop = stop_at(tick, "VMEXIT breakpoint");
    stop.words[vmcs + lab::vmcs_offset(vmx::exit_reason.encoding).value()] = reason;
    const std::uint64_t place = vmcs + lab::vmcs_offset(vmx::exit_qualification.encoding).value();
    stop.words[place] = qualification;
    stop.words[place + sizeof(qualification)] = 0;
    const std::uint64_t rip = vmcs + lab::vmcs_offset(vmx::guest_rip.encoding).value();
    stop.words[rip] = 0x700;
    stop.words[rip + sizeof(std::uint32_t)] = 0;
    return stop;
}

// The guest, just before the instruction that leaves it.
lab::DebuggerStop guest_at(std::uint64_t rip) {
    lab::DebuggerStop stop = stop_at(107, "time breakpoint");
    stop.instruction = "cpuid";
    stop.registers["rip"] = rip;
    return stop;
}

RecordedStates recorded_with(const lab::DebuggerStop& at_exit, std::uint64_t guest_rip = 0x700) {
    const std::vector<lab::DebuggerStop> stops{stop_at(0, ""), stop_at(100, "time breakpoint"),
                                               guest_at(guest_rip), at_exit,
                                               stop_at(150, "time breakpoint")};
    return recorded_at(moments_of(short_run()), stops);
}

TEST(Recorder, TakesTheMomentsOfTheProcessorsLog) {
    const auto moments = moments_of(short_run());
    ASSERT_EQ(moments.size(), 3U);
    EXPECT_EQ(moments[0].moment, Moment::entry);
    EXPECT_EQ(moments[1].moment, Moment::exit);
    EXPECT_EQ(moments[1].t, 107U);
    EXPECT_EQ(moments[2].moment, Moment::failed_entry);
    EXPECT_EQ(moments[2].number, 2U);
}

TEST(Recorder, TakesEachStopAtItsMoment) {
    for (const std::uint64_t tick : {107U, 108U}) {
        const RecordedStates recorded = recorded_with(exit_at(tick, 10, 3));
        ASSERT_EQ(recorded.states.size(), 3U);
        EXPECT_EQ(recorded.left_out, 0U);
        EXPECT_EQ(recorded.complaint, "");
        EXPECT_EQ(recorded.states[1].fields.at(vmx::exit_reason.encoding), 10U);
        EXPECT_EQ(recorded.states[1].registers.at("rax"), 5U);
    }
}

TEST(Recorder, TakesTheInstructionOfTheGuestsRip) {
    EXPECT_EQ(recorded_with(exit_at(108, 10, 3)).states[1].instruction, "cpuid");
    EXPECT_EQ(recorded_with(exit_at(108, 10, 3), 0x702).states[1].instruction, "");
}

TEST(Recorder, EndsWhereTheReplayIsAnotherRun) {
    for (const lab::DebuggerStop& other :
         {exit_at(109, 10, 3), exit_at(106, 10, 3), exit_at(108, 12, 3), exit_at(108, 10, 4),
          stop_at(107, "time breakpoint")}) {
        const RecordedStates recorded = recorded_with(other);
        EXPECT_EQ(recorded.states.size(), 1U);
        EXPECT_EQ(recorded.left_out, 2U);
        EXPECT_EQ(recorded.complaint, "the replay did not come to exit 1");
    }
}

TEST(Recorder, SaysHowMuchThereIs) {
    EXPECT_EQ(words_of(recorded_with(exit_at(108, 10, 3))),
              "recorded: 3 VM entries and exits in vmcs.jsonl");
    EXPECT_EQ(words_of({}), "recorded: nothing, as there was no VM entry");
}

}  // namespace
}  // namespace hvp::tool
