// VMX operation and the current VMCS are given back, once, whatever happens.
#include "hypervisor/vmx/vmx_operation.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hvp::vmx {
namespace {

using arch::processor;
using arch::VmxResult;
using Names = std::vector<std::string>;

constexpr arch::HostPhysicalAddress vmxon_region{0x5000};
constexpr arch::HostPhysicalAddress vmcs_region{0x6000};

class OperationTest : public testing::Test {
protected:
    OperationTest() { processor = {}; }
};

TEST_F(OperationTest, IsLeftAtTheEnd) {
    {
        const auto operation = VmxOperation::enter(vmxon_region);
        ASSERT_TRUE(operation);
        EXPECT_TRUE(processor.in_vmx_operation);
    }
    EXPECT_FALSE(processor.in_vmx_operation);
    EXPECT_EQ(processor.written, (Names{"VMXON", "VMXOFF"}));
}

// VMXOFF outside VMX operation raises #UD, so an object that was moved from must not execute it.
TEST_F(OperationTest, IsLeftOnceThoughItWasMoved) {
    {
        auto entered = VmxOperation::enter(vmxon_region);
        ASSERT_TRUE(entered);
        const VmxOperation kept = std::move(*entered);
    }
    EXPECT_EQ(processor.written, (Names{"VMXON", "VMXOFF"}));
}

TEST_F(OperationTest, ThatWasNotEnteredIsNotLeft) {
    processor.refused["VMXON"] = VmxResult::fail_invalid;
    const auto operation = VmxOperation::enter(vmxon_region);
    ASSERT_FALSE(operation);
    EXPECT_EQ(operation.error().kind, FailureKind::instruction_failed);
    EXPECT_EQ(operation.error().result, VmxResult::fail_invalid);
    EXPECT_EQ(operation.error().error_number, 0U) << "there is no VMCS to hold a number";
    EXPECT_STREQ(operation.error().why->step, "VMXON");
    EXPECT_EQ(processor.written, Names{"VMXON"});
}

// A VMCS that was not cleared may be written back to memory that is somebody else's by then.
TEST_F(OperationTest, AVmcsIsClearedBeforeAndAfter) {
    {
        const auto loaded = LoadedVmcs::load(vmcs_region);
        ASSERT_TRUE(loaded);
        EXPECT_EQ(processor.current_vmcs, vmcs_region.raw());
    }
    EXPECT_EQ(processor.current_vmcs, arch::no_vmcs);
    EXPECT_EQ(processor.written, (Names{"VMCLEAR", "VMPTRLD", "VMCLEAR"}));
}

TEST_F(OperationTest, AVmcsIsClearedOnceThoughItWasMoved) {
    {
        auto loaded = LoadedVmcs::load(vmcs_region);
        ASSERT_TRUE(loaded);
        const LoadedVmcs kept = std::move(*loaded);
    }
    EXPECT_EQ(processor.written, (Names{"VMCLEAR", "VMPTRLD", "VMCLEAR"}));
}

TEST_F(OperationTest, AVmcsThatCannotBeClearedIsNotLoaded) {
    processor.refused["VMCLEAR"] = VmxResult::fail_invalid;
    const auto loaded = LoadedVmcs::load(vmcs_region);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().result, VmxResult::fail_invalid);
    EXPECT_EQ(processor.written, Names{"VMCLEAR"});
}

// [SDM 3C 30.4 "VM Instruction Error Numbers"]: 11 is a wrong revision identifier. The number is in
// the VMCS that is still current.
TEST_F(OperationTest, TellsTheNumberOfAVmptrldThatFailed) {
    processor.refused["VMPTRLD"] = VmxResult::fail_valid;
    processor.vmcs = {{vm_instruction_error.encoding, 11}};
    const auto loaded = LoadedVmcs::load(vmcs_region);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().result, VmxResult::fail_valid);
    EXPECT_EQ(loaded.error().error_number, 11U);
    EXPECT_EQ(processor.written, (Names{"VMCLEAR", "VMPTRLD"})) << "nothing to give back";
}

}  // namespace
}  // namespace hvp::vmx
