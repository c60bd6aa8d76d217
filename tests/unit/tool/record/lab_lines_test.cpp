#include "tool/record/lab_lines.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace hvp::tool {
namespace {

TEST(LabLines, BecomeEvents) {
    const auto events = read_lab_line(
        R"({"t":128,"cpu":1,"from":"lab","event":"DriverEntry","irql":"PASSIVE_LEVEL","load":2})");
    ASSERT_TRUE(events);
    ASSERT_EQ(events->size(), 1U);
    const Event& event = events->front();
    EXPECT_TRUE(event.is("lab", "DriverEntry"));
    EXPECT_EQ(event.t, 128U);
    EXPECT_EQ(event.cpu, 1U);
    EXPECT_EQ(event.text("irql"), "PASSIVE_LEVEL");
    EXPECT_EQ(
        json_line(event),
        R"({"t":128,"cpu":1,"from":"lab","event":"DriverEntry","irql":"PASSIVE_LEVEL","load":2})");
}

TEST(LabLines, ThatAreCutOrForeignAreNone) {
    EXPECT_FALSE(read_lab_line(R"({"t":128,"cpu":)"));
    EXPECT_FALSE(read_lab_line(R"({"t":128})"));
    EXPECT_FALSE(read_lab_line(R"({"t":1,"from":"processor","event":"VmExit"})"));  // not theirs
    EXPECT_FALSE(read_lab_line(R"({"t":"x","from":3,"event":{}})"));
    EXPECT_FALSE(read_lab_line("[1,2]"));
}

// A driver can write to the lab's port itself. What is nested a million times would overflow the
// stack of whoever walks over it.
TEST(LabLines, ThatAreNestedWithoutEndAreNone) {
    const std::string start = R"({"t":1,"cpu":0,"from":"lab","event":"X","a":)";
    const auto nested = [&](std::size_t depth) {
        return read_lab_line(start + std::string(depth, '[') + std::string(depth, ']') + "}");
    };
    EXPECT_TRUE(nested(3));
    EXPECT_FALSE(nested(500'000));
}

TEST(DriverText, BecomesAnEvent) {
    const auto event = read_driver_text(
        "VmExit reason=\"EPT violation\" reason_number=48 qualification=0x181 at=0x1f4", 600);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->name, "VmExit");
    EXPECT_EQ(event->t, 500U);
    EXPECT_FALSE(event->fields.contains("at"));
    EXPECT_EQ(event->text("reason"), "EPT violation");
    EXPECT_TRUE(event->fields["reason_number"].is_number());
    EXPECT_EQ(event->fields["qualification"], "0x181");
    EXPECT_EQ(event->number("qualification"), 0x181U);
}

TEST(DriverText, NothingHappensAfterItWasTold) {
    EXPECT_EQ(read_driver_text("VmxOn at=0xffffffff", 600)->t, 600U);
    EXPECT_EQ(read_driver_text("VmxOn at=soon", 600)->t, 600U);
}

TEST(DriverText, SentencesAreNoEvents) {
    EXPECT_FALSE(read_driver_text("Hello, world", 1));
    EXPECT_FALSE(read_driver_text("Hello", 1));
    EXPECT_FALSE(read_driver_text("status=5", 1));
    EXPECT_FALSE(read_driver_text("VmExit reason=\"HLT", 1));
    EXPECT_FALSE(read_driver_text("VmExit reason", 1));
    EXPECT_FALSE(read_driver_text("VmExit a=1 a=2", 1));
    EXPECT_FALSE(read_driver_text("VmExit from=processor", 1));  // not the driver's to say
    EXPECT_FALSE(read_driver_text("", 1));
}

TEST(DebugPrint, IsSplitIntoLines) {
    const auto events = read_lab_line(
        R"({"t":9,"cpu":2,"from":"driver","event":"DebugPrint","component":77,"level":3,)"
        R"("text":"VmxOn at=0x7\nbusy\n"})");
    ASSERT_TRUE(events);
    ASSERT_EQ(events->size(), 2U);
    EXPECT_EQ((*events)[0].name, "VmxOn");
    EXPECT_EQ((*events)[0].cpu, 2U);
    EXPECT_EQ((*events)[0].t, 7U);
    EXPECT_EQ((*events)[1].name, "DebugPrint");
    EXPECT_EQ((*events)[1].text("text"), "busy");
}

TEST(Events, ReplaceBytesThatAreNotUtf8) {
    const Event event{.t = 1, .cpu = 0, .from = "driver", .name = "X", .fields = {{"a", "\xFF"}}};
    EXPECT_EQ(json_line(event),
              "{\"t\":1,\"cpu\":0,\"from\":\"driver\",\"event\":\"X\",\"a\":\"\xEF\xBF\xBD\"}");
}

RC_GTEST_PROP(LabLinesProperty, AnyLineIsReadOrRefused, (const std::string& line)) {
    if (const auto events = read_lab_line(line)) {
        for (const Event& event : *events) {
            RC_ASSERT(!event.name.empty());
        }
    }
    if (const auto event = read_driver_text(line, 5)) {
        RC_ASSERT(event->t <= 5U);
    }
}

}  // namespace
}  // namespace hvp::tool
