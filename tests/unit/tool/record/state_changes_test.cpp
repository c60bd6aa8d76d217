// What a driver left changed, in words.
#include "tool/record/state_changes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

void add(Timeline& timeline, unsigned cpu, const char* item, const char* before,
         const char* after) {
    timeline.add({.t = 1,
                  .cpu = cpu,
                  .from = "lab",
                  .name = "StateDifference",
                  .fields = {{"item", item}, {"before", before}, {"after", after}}});
}

// [SDM 3A 2.5 "Control Registers"]: bit 13 of CR4 is VMXE, bit 17 PCIDE.
TEST(StateChanges, NameTheBits) {
    EXPECT_EQ(changed_bits("CR4", 0x2'0678, 0x2678), "VMXE is 1 now, PCIDE is 0 now");
    EXPECT_EQ(changed_bits("CR0", 0x8000'0031, 0x31), "PG is 0 now");
    EXPECT_EQ(changed_bits("RFLAGS", 0x246, 0x46), "IF is 0 now");
    EXPECT_EQ(changed_bits("CR3", 0x1000, 0x2000), "");
}

TEST(StateChanges, OfSeveralProcessorsAreOne) {
    Timeline timeline{100};
    for (const unsigned cpu : {0U, 1U, 2U, 3U}) {
        add(timeline, cpu, "CR4", "0x678", "0x2678");
    }
    add(timeline, 1, "GS base", "0x1000", "0x0");
    const auto changes = state_changes(timeline, "StateDifference");
    ASSERT_EQ(changes.size(), 2U);
    EXPECT_EQ(changes[0].processors(), "processors 0 to 3");
    EXPECT_EQ(changes[0].change(), "CR4 was 0x678, is 0x2678: VMXE is 1 now");
    EXPECT_EQ(changes[1].processors(), "processor 1");
}

TEST(StateChanges, OfProcessorsApartAreCountedUp) {
    Timeline timeline{100};
    add(timeline, 3, "DR7", "0x400", "0x401");
    add(timeline, 0, "DR7", "0x400", "0x401");
    EXPECT_EQ(state_changes(timeline, "StateDifference").front().processors(), "processors 0, 3");
}

// A second load of the driver leaves the same behind: that is another difference.
TEST(StateChanges, OfOneProcessorTwiceAreTwo) {
    Timeline timeline{100};
    add(timeline, 0, "DR7", "0x400", "0x401");
    add(timeline, 0, "DR7", "0x400", "0x401");
    EXPECT_EQ(state_changes(timeline, "StateDifference").size(), 2U);
}

// [SDM 3C 27.5.2 "Loading Host Segment and Descriptor-Table Registers"]: the limits become FFFFH.
TEST(StateChanges, SayWhatALimitOfAVmExitLeadsTo) {
    Timeline timeline{100};
    add(timeline, 0, "GDTR limit", "0x57", "0xffff");
    const std::string change = state_changes(timeline, "StateDifference").front().change();
    EXPECT_THAT(change, testing::HasSubstr("GDTR limit was 0x57, is 0xffff: a VM exit sets it"));
    EXPECT_THAT(change, testing::HasSubstr("LGDT"));
    EXPECT_THAT(change, testing::HasSubstr("bug check 0x109"));
    EXPECT_THAT(state_advice("IDTR limit", 0xFFFF), testing::HasSubstr("LIDT"));
    EXPECT_EQ(state_advice("GDTR limit", 0x67), "");
    EXPECT_EQ(state_advice("CS", 0xFFFF), "");
}

}  // namespace
}  // namespace hvp::tool
