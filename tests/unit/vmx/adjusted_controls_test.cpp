// What we want of the controls against what a processor allows.
#include "hypervisor/vmx/adjusted_controls.hpp"

#include <gtest/gtest.h>

#include "hypervisor/vcpu/setup/interrupt_setup.hpp"

namespace hvp::vmx {
namespace {

using arch::Msr;
using arch::processor;

constexpr std::uint64_t true_controls = 1ULL << 55;  // [SDM 3D A.1 "Basic VMX Information"]
constexpr std::uint32_t pin_field = 0x4000;

/// A capability: the bits that must be 1, and the bits that may.
constexpr std::uint64_t capability(std::uint32_t must, std::uint32_t may) {
    return std::uint64_t{may} << 32 | must;
}

class ControlSetupTest : public testing::Test {
protected:
    ControlSetupTest() {
        processor = {};
        processor.vmcs = {{pin_field, 0}};
        processor.msrs[Msr::vmx_basic] = 0;
    }
    std::expected<void, Failure> write(arch::Flags<PinControl> wanted) {
        write_controls(vmcs, pin_based_controls, wanted);
        return written(vmcs);
    }

    CurrentVmcs vmcs;
};

// [SDM 3D A.2 "Reserved Controls and Default Settings"]: VM entry refuses a 0 in these.
TEST_F(ControlSetupTest, AddsWhatMustBeOne) {
    processor.msrs[Msr::vmx_pinbased_ctls] = capability(0x16, 0x7F);
    ASSERT_TRUE(write(PinControl::nmi_exiting));
    EXPECT_EQ(processor.vmcs[pin_field], 0x1EU);
}

// The plain MSR demands controls that the TRUE one leaves to us: CR3 accesses would exit.
TEST_F(ControlSetupTest, AsksTheTrueCapabilityWhereThereIsOne) {
    processor.msrs[Msr::vmx_pinbased_ctls] = capability(0x16, 0x7F);
    processor.msrs[Msr::vmx_true_pinbased_ctls] = capability(0x10, 0x7F);
    processor.msrs[Msr::vmx_basic] = true_controls;
    ASSERT_TRUE(write(PinControl::nmi_exiting));
    EXPECT_EQ(processor.vmcs[pin_field], 0x18U);
}

// Older processors do not have the TRUE MSRs, and reading one raises #GP.
TEST_F(ControlSetupTest, DoesNotTouchATrueCapabilityThatIsNotPromised) {
    processor.msrs[Msr::vmx_pinbased_ctls] = capability(0, 0x7F);
    EXPECT_NO_THROW(EXPECT_TRUE(write(PinControl::nmi_exiting)));
}

TEST_F(ControlSetupTest, NamesTheBitsThatAreNotToBeHad) {
    processor.msrs[Msr::vmx_pinbased_ctls] = capability(0, 0x01);
    const auto refused = write(PinControl::nmi_exiting | PinControl::virtual_nmis |
                               arch::Flags{PinControl::external_interrupt_exiting});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, FailureKind::not_supported);
    EXPECT_EQ(refused.error().number, 0x28U) << "bits 3 and 5; bit 0 is allowed";
    EXPECT_STREQ(refused.error().why->step, "VMX controls");
    EXPECT_EQ(processor.vmcs[pin_field], 0U) << "nothing is written";
    vmcs.write(pin_based_controls, PinControl::nmi_exiting);
    EXPECT_EQ(processor.vmcs[pin_field], 0U) << "nor afterwards";
}

TEST_F(ControlSetupTest, InterruptsExitAndAreAcknowledged) {
    constexpr std::uint32_t exit_field = 0x400C;
    constexpr std::uint64_t hlt_state = 1U << 6;  // [SDM 3D A.6 "Miscellaneous Data"]
    processor.vmcs[exit_field] = 0;
    processor.msrs[Msr::vmx_misc] = hlt_state;
    processor.msrs[Msr::vmx_pinbased_ctls] = capability(0x16, 0x7F);
    processor.msrs[Msr::vmx_exit_ctls] = capability(0, 0xFFFF'FFFF);
    ASSERT_TRUE(enable_interrupt_exiting());
    EXPECT_EQ(processor.vmcs[pin_field], 0x17U);
    EXPECT_EQ(processor.vmcs[exit_field], 1U << 15);
}

// A guest that halts must be able to sleep: nothing but an interrupt may wake it.
TEST_F(ControlSetupTest, InterruptsDoNotExitWhereAGuestCannotSleep) {
    processor.msrs[Msr::vmx_misc] = 0;
    const auto refused = enable_interrupt_exiting();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, FailureKind::not_supported);
    EXPECT_STREQ(refused.error().why->step, "HLT activity state");
}

}  // namespace
}  // namespace hvp::vmx
