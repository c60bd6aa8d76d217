// Fields reach the VMCS at their encodings, and the first refusal is kept.
#include "hypervisor/vmx/current_vmcs.hpp"

#include <gtest/gtest.h>

namespace hvp::vmx {
namespace {

using arch::processor;
using arch::VmxResult;

class CurrentVmcsTest : public testing::Test {
protected:
    CurrentVmcsTest() { processor = {}; }

    CurrentVmcs vmcs;
};

// The encodings are those of appendix B.  [SDM 3D B.4.4 "Natural-Width Host-State Fields"] and kin
TEST_F(CurrentVmcsTest, WritesAndReadsByTheManualsEncodings) {
    processor.vmcs = {{0x681E, 0}, {0x4800, 0}, {0x480E, 0}, {0x6820, 0}};
    vmcs.write(guest_rip, arch::GuestLinearAddress{0xFFFF'F803'0000'1234});
    vmcs.write(guest_es_limit, SegmentIndex::es, {0xFFFF});
    vmcs.write(guest_es_limit, SegmentIndex::tr, {0x67});
    vmcs.write(guest_rflags, arch::Flags<arch::Rflags>{0x2});
    EXPECT_FALSE(vmcs.refused());
    EXPECT_EQ(processor.vmcs[0x681E], 0xFFFF'F803'0000'1234U);
    EXPECT_EQ(processor.vmcs[0x4800], 0xFFFFU);
    EXPECT_EQ(processor.vmcs[0x480E], 0x67U);
    EXPECT_EQ(vmcs.read(guest_rflags).raw(), 2U);
    EXPECT_EQ(vmcs.read(guest_rip).raw(), 0xFFFF'F803'0000'1234U);
}

TEST_F(CurrentVmcsTest, KeepsTheFirstRefusalAndTriesNoMore) {
    processor.vmcs = {{0x6820, 0}};
    vmcs.write(guest_rip, arch::GuestLinearAddress{1});
    vmcs.write(guest_rflags, arch::Flags<arch::Rflags>{2});
    EXPECT_EQ(vmcs.read(guest_cr3), 0U);
    ASSERT_TRUE(vmcs.refused());
    EXPECT_EQ(vmcs.refused()->encoding, 0x681EU);
    EXPECT_EQ(vmcs.refused()->result, VmxResult::fail_valid);
    EXPECT_EQ(processor.vmcs[0x6820], 0U) << "what comes after a refusal is not written";
}

TEST_F(CurrentVmcsTest, WithoutOneIsRefused) {
    processor.without_field = VmxResult::fail_invalid;
    EXPECT_EQ(vmcs.read(guest_cr3), 0U);
    ASSERT_TRUE(vmcs.refused());
    EXPECT_EQ(vmcs.refused()->result, VmxResult::fail_invalid);
}

// [SDM 3C 24.9.5 "VM-Instruction Error Field"]: it says something only after VMfailValid.
TEST_F(CurrentVmcsTest, HasAnErrorNumberOnlyAfterVmfailValid) {
    processor.vmcs = {{0x4400, 7}};
    EXPECT_EQ(error_number_of(VmxResult::fail_valid), 7U);
    EXPECT_EQ(error_number_of(VmxResult::fail_invalid), 0U);
    EXPECT_EQ(error_number_of(VmxResult::succeed), 0U);
}

}  // namespace
}  // namespace hvp::vmx
