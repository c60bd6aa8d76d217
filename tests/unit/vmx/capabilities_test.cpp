// May this processor enter VMX operation? On scripted processors, each "no" in turn.
#include "hypervisor/vmx/capabilities.hpp"

#include <gtest/gtest.h>

#include <string_view>

#include "hypervisor/arch/instructions.hpp"

namespace hvp::vmx {
namespace {

using arch::Msr;
using arch::processor;

/// corei7_skylake_x under Windows 10, whose firmware has switched VT-x on and locked that.
class SupportTest : public testing::Test {
protected:
    SupportTest() {
        processor = {};
        processor.cpuid[0] = {
            .eax = 0x16, .ebx = 0x756E'6547, .ecx = 0x6C65'746E, .edx = 0x4965'6E69};
        processor.cpuid[1] = {.eax = 0x50654, .ebx = 0, .ecx = 1U << 5, .edx = 0};
        processor.registers = {{"CS", 0x10}, {"CR0", 0x8005'0033}, {"CR4", 0x15'06F8}};
        processor.msrs = {
            {Msr::feature_control, 5},          {Msr::vmx_basic, 0x00D8'1000'0000'002B},
            {Msr::vmx_cr0_fixed0, 0x8000'0021}, {Msr::vmx_cr0_fixed1, 0xFFFF'FFFF},
            {Msr::vmx_cr4_fixed0, 0x2000},      {Msr::vmx_cr4_fixed1, 0x37'7FFF}};
    }
    /// The step that was refused; empty if none was.
    static std::string_view refused_step() {
        const auto support = probe_vmx();
        if (!support) {
            EXPECT_EQ(support.error().kind, FailureKind::not_supported);
        }
        return support ? std::string_view{} : support.error().why->step;
    }
    static std::string_view remedy() {
        const auto support = probe_vmx();
        return support ? std::string_view{} : support.error().why->remedy;
    }
};

TEST_F(SupportTest, SaysWhatVmxOperationWants) {
    const auto support = probe_vmx();
    ASSERT_TRUE(support);
    EXPECT_EQ(support->basic.revision_identifier, 0x2BU);
    EXPECT_EQ(support->cr0_ones.raw(), 0x8000'0021U);
    EXPECT_EQ(support->cr4_ones.raw(), 0x2000U);
    EXPECT_TRUE(processor.written.empty()) << "nothing is changed where firmware has decided";
}

// A processor without VT-x has none of its MSRs: reading one would raise #GP.
TEST_F(SupportTest, ReadsNoMsrBeforeCpuidHasPromisedIt) {
    processor.msrs.clear();
    processor.cpuid[0].ebx = 0x6874'7541;  // "Auth": AMD
    EXPECT_EQ(refused_step(), "CPUID vendor");
    processor.cpuid[0].ebx = 0x756E'6547;
    processor.cpuid[1].ecx = 0;
    EXPECT_EQ(refused_step(), "CPUID.1:ECX.VMX");
    EXPECT_EQ(remedy(), "this processor has no VT-x: use another one");
    processor.cpuid[1].ecx = 1U << 31;
    EXPECT_TRUE(remedy().contains("a hypervisor below hides VT-x"));
}

TEST_F(SupportTest, LeavesAProcessorAloneThatAnotherHypervisorUses) {
    processor.registers["CR4"] |= 0x2000;
    EXPECT_EQ(refused_step(), "CR4.VMXE");
}

TEST_F(SupportTest, TakesTheDecisionThatFirmwareHasLeftOpen) {
    processor.msrs[Msr::feature_control] = 0x10'0000;
    EXPECT_EQ(refused_step(), "");
    EXPECT_EQ(processor.msrs[Msr::feature_control], 0x10'0005U);
    EXPECT_EQ(refused_step(), "") << "the second time it is locked, and is not written";
}

TEST_F(SupportTest, AcceptsFirmwaresNo) {
    processor.msrs[Msr::feature_control] = 1;
    EXPECT_EQ(refused_step(), "IA32_FEATURE_CONTROL");
}

TEST_F(SupportTest, NeedsFourLevelsOfPageTables) {
    EXPECT_TRUE(check_paging_levels());
    processor.registers["CR4"] |= 1ULL << 12;
    const auto refused = check_paging_levels();
    ASSERT_FALSE(refused);
    EXPECT_STREQ(refused.error().why->step, "CR4.LA57");
    EXPECT_TRUE(std::string_view{refused.error().why->remedy}.contains("linearaddress57 optout"));
    EXPECT_TRUE(processor.written.empty());
}

// [SDM 3A 6.12.1.1 "Shadow Stack Usage on Transfers to Interrupt and Exception Handling Routines"]
TEST_F(SupportTest, NeedsAKernelWithoutShadowStacks) {
    processor.registers["CR4"] |= 1ULL << 23;
    processor.msrs[Msr::vmx_cr4_fixed1] |= 1ULL << 23;
    processor.msrs[Msr::s_cet] = 4;
    EXPECT_EQ(refused_step(), "") << "indirect branch tracking alone is none";
    processor.msrs[Msr::s_cet] = 5;
    EXPECT_EQ(refused_step(), "IA32_S_CET.SH_STK_EN");
    processor.registers["CR4"] &= ~(1ULL << 23);
    processor.msrs.erase(Msr::s_cet);
    EXPECT_EQ(refused_step(), "") << "RDMSR would raise #GP";
}

// "Hv#1" is Microsoft's interface; KVM's is nothing that Windows uses.
TEST_F(SupportTest, AGuestWithInterruptsOnIsNoneForAnEnlightenedSystem) {
    EXPECT_TRUE(check_no_enlightenments());
    processor.cpuid[0x4000'0001].eax = 0x3123'7648;
    EXPECT_TRUE(check_no_enlightenments()) << "without the bit in leaf 1 the leaf means nothing";
    processor.cpuid[1].ecx |= 1U << 31;
    const auto refused = check_no_enlightenments();
    ASSERT_FALSE(refused);
    EXPECT_EQ(std::string_view{refused.error().why->step}, "CPUID.40000001H");
    EXPECT_TRUE(std::string_view{refused.error().why->remedy}.contains("Hyper-V"));
    EXPECT_EQ(refused_step(), "") << "the other stages may";
    processor.cpuid[0x4000'0001].eax = 0x4B4D'564B;
    EXPECT_TRUE(check_no_enlightenments());
}

TEST_F(SupportTest, NeedsWriteBackMemoryForVmxRegions) {
    processor.msrs[Msr::vmx_basic] = 0x0080'1000'0000'002B;
    EXPECT_EQ(refused_step(), "IA32_VMX_BASIC memory type");
}

TEST_F(SupportTest, NeedsControlRegistersThatVmxOperationAllows) {
    processor.msrs[Msr::vmx_cr4_fixed1] &= ~(1ULL << 20);  // SMEP, which is on
    EXPECT_EQ(refused_step(), "fixed bits of CR0 and CR4");
    processor.msrs[Msr::vmx_cr4_fixed1] |= 1ULL << 20;
    processor.msrs[Msr::vmx_cr0_fixed1] &= ~(1ULL << 16);  // WP, which is on
    EXPECT_EQ(refused_step(), "fixed bits of CR0 and CR4");
}

}  // namespace
}  // namespace hvp::vmx
