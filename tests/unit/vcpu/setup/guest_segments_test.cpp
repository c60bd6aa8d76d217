// The guest's segment registers are what the processor holds, or there is no launch.
#include "hypervisor/vcpu/setup/guest_segments.hpp"

#include "tests/unit/arch/windows_processor.hpp"

namespace hvp::vmx {
namespace {

class GuestSegmentsTest : public WindowsProcessor {
protected:
    /// The number of the segment that stands in the way.
    static std::uint32_t refused_segment() {
        const auto segments = describe_segments(arch::ProcessorState::capture());
        EXPECT_FALSE(segments);
        if (segments) {
            return ~0U;
        }
        EXPECT_EQ(segments.error().kind, FailureKind::unexpected);
        EXPECT_STREQ(segments.error().why->step, "segments");
        return segments.error().number;
    }
};

TEST_F(GuestSegmentsTest, AreInTheOrderOfTheFields) {
    const auto segments = describe_segments(arch::ProcessorState::capture());
    ASSERT_TRUE(segments);
    const std::array<std::uint16_t, 8> selectors{0x2B, 0x10, 0x18, 0x2B, 0x53, 0x2B, 0, 0x40};
    for (std::size_t i = 0; i < selectors.size(); ++i) {
        EXPECT_EQ(raw((*segments)[i].selector), selectors[i]) << i;
    }
    EXPECT_EQ((*segments)[6].rights.unusable, 1U) << "Windows has no LDT";
    EXPECT_EQ((*segments)[7].base, task_base);
}

// [SDM 3A 3.4.4 "Segment Loading Instructions in IA-32e Mode"]: the descriptors' bases are 32 bits
// wide and say 0; with these in the guest, Windows would not find its own data.
TEST_F(GuestSegmentsTest, TakeTheBasesOfFsAndGsFromTheMsrs) {
    const auto segments = describe_segments(arch::ProcessorState::capture());
    ASSERT_TRUE(segments);
    EXPECT_EQ((*segments)[4].base, 0x7FFD'0000U);
    EXPECT_EQ((*segments)[5].base, 0xFFFF'F803'0000'0000U);
    EXPECT_EQ((*segments)[3].base, 0U) << "DS has the same selector as GS, and no MSR";
}

TEST_F(GuestSegmentsTest, RefuseASelectorThatLeadsNowhere) {
    arch::processor.registers["DS"] = 0x5B;  // behind the last entry
    EXPECT_EQ(refused_segment(), 3U);
    arch::processor.registers["ES"] = 0x2F;  // in an LDT
    EXPECT_EQ(refused_segment(), 0U);
}

// A VM exit sets TR's limit to 67h. Another one would be lost without a word.
TEST_F(GuestSegmentsTest, RefuseATaskWithAnotherLimit) {
    gdt[task_slot] += 1;
    EXPECT_EQ(refused_segment(), 7U);
}

}  // namespace
}  // namespace hvp::vmx
