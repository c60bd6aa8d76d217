// The SDM's tables about VMX operation: controls, capability words, names.
#include <gtest/gtest.h>

#include <bit>
#include <set>
#include <string_view>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vcpu/entry.hpp"
#include "hypervisor/vmcs/controls.hpp"
#include "hypervisor/vmcs/exit_reason.hpp"
#include "hypervisor/vmcs/fields.hpp"
#include "hypervisor/vmcs/instruction_error.hpp"
#include "hypervisor/vmcs/names/bit_names.hpp"
#include "hypervisor/vmcs/names/field_names.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"

namespace hvp::vmx {
namespace {

// IA32_VMX_BASIC as corei7_skylake_x and corei7_icelake_u give it.
// [SDM 3D A.1 "Basic VMX Information"]
TEST(VmxBasic, IsDecodedByTheManualsBitNumbers) {
    const auto skylake = std::bit_cast<VmxBasic>(0x00D8'1000'0000'002BULL);
    EXPECT_EQ(skylake.revision_identifier, 0x2BU);
    EXPECT_EQ(skylake.region_bytes, 0x1000U);
    EXPECT_EQ(skylake.addresses_are_32_bits, 0U);
    EXPECT_EQ(skylake.memory_type, memory_type_write_back);
    EXPECT_EQ(skylake.reports_string_io, 1U);
    EXPECT_EQ(skylake.has_true_controls, 1U);
    EXPECT_EQ(std::bit_cast<VmxBasic>(1ULL << 48).addresses_are_32_bits, 1U);
    EXPECT_EQ(std::bit_cast<VmxBasic>(1ULL << 49).dual_monitor, 1U);
}

// [SDM 3D A.2 "Reserved Controls and Default Settings"] with the primary processor-based controls
// of corei7_skylake_x: the plain MSR forces CR3 exits on, the TRUE one leaves them to us.
TEST(Controls, AreAdjustedToWhatTheProcessorAllows) {
    const auto plain = ControlCapability::from_msr(0xF7F9'FFFE'0401'E172);
    const auto precise = ControlCapability::from_msr(0xF7F9'FFFE'0400'6172);
    constexpr std::uint32_t hlt = std::to_underlying(PrimaryControl::hlt_exiting);
    constexpr std::uint32_t cr3_load = std::to_underlying(PrimaryControl::cr3_load_exiting);
    EXPECT_EQ(plain.adjusted(hlt), 0x0401'E1F2U);
    EXPECT_EQ(precise.adjusted(hlt), 0x0400'61F2U);
    EXPECT_NE(plain.adjusted(hlt) & cr3_load, 0U);
    EXPECT_EQ(precise.adjusted(hlt) & cr3_load, 0U);
    EXPECT_EQ(precise.refused(hlt), 0U);
}

TEST(Controls, ThatTheProcessorLacksAreRefusedByName) {
    const auto capability = ControlCapability::from_msr(0xF7F9'FFFE'0400'6172);
    constexpr std::uint32_t trap_flag = std::to_underlying(PrimaryControl::monitor_trap_flag);
    constexpr std::uint32_t hlt = std::to_underlying(PrimaryControl::hlt_exiting);
    EXPECT_EQ(capability.refused(hlt | trap_flag), trap_flag);
}

// [SDM 3C 30.2 "Conventions"]: VMfailInvalid sets CF, VMfailValid sets ZF, never both.
TEST(VmxResults, AreReadFromCarryAndZero) {
    EXPECT_EQ(arch::vmx_result(false, false), arch::VmxResult::succeed);
    EXPECT_EQ(arch::vmx_result(true, false), arch::VmxResult::fail_invalid);
    EXPECT_EQ(arch::vmx_result(false, true), arch::VmxResult::fail_valid);
}

// [SDM 3C 24.9.1 "Basic VM-Exit Information", Table 24-14]
TEST(ExitReasons, SayWhetherTheGuestEverRan) {
    const auto failed = std::bit_cast<ExitReasonField>(0x8000'0021U);
    EXPECT_EQ(failed.entry_failure, 1U);
    EXPECT_EQ(failed.basic(), ExitReason::invalid_guest_state);
    EXPECT_EQ(std::bit_cast<ExitReasonField>(1U << 29).from_root, 1U);
    EXPECT_EQ(std::bit_cast<ExitReasonField>(1U << 28).pending_mtf, 1U);
}

TEST(ExitReasons, HaveTheManualsNames) {
    EXPECT_EQ(std::string_view{exit_reason_name(0)}, "exception or NMI");
    EXPECT_EQ(std::string_view{exit_reason_name(12)}, "HLT");
    EXPECT_EQ(std::string_view{exit_reason_name(34)}, "VM-entry failure due to MSR loading");
    EXPECT_EQ(std::string_view{exit_reason_name(36)}, "MWAIT");
    EXPECT_EQ(std::string_view{exit_reason_name(48)}, "EPT violation");
    EXPECT_EQ(std::string_view{exit_reason_name(68)}, "TPAUSE");
    EXPECT_EQ(std::string_view{exit_reason_name(35)}, "unknown");  // a number that is not used
    EXPECT_EQ(std::string_view{exit_reason_name(69)}, "unknown");  // the first behind the table
    EXPECT_EQ(std::string_view{exit_reason_name(0xFFFF)}, "unknown");
}

// [SDM 3C 30.4 "VM Instruction Error Numbers", Table 30-1]: 14, 21 and 27 do not exist.
TEST(InstructionErrors, HaveTheManualsNames) {
    EXPECT_EQ(std::string_view{instruction_error_name(1)}, "VMCALL executed in VMX root operation");
    EXPECT_EQ(std::string_view{instruction_error_name(7)}, "VM entry with invalid control field");
    EXPECT_EQ(std::string_view{instruction_error_name(28)}, "invalid operand to INVEPT or INVVPID");
    for (const std::uint32_t gap : {0U, 14U, 21U, 27U, 29U}) {
        EXPECT_EQ(std::string_view{instruction_error_name(gap)}, "unknown") << gap;
    }
}

// [SDM 3D B.1 "16-Bit Fields"] to [SDM 3D B.4 "Natural-Width Fields"]: our edition has 166 fields,
// and one that we know is newer.
TEST(FieldFacts, HaveEachFieldOnce) {
    std::set<std::string_view> names;
    std::set<std::string_view> common;
    for (const FieldFacts& field : field_facts) {
        EXPECT_TRUE(names.insert(field.name).second) << field.name;
        EXPECT_TRUE(common.insert(field.common).second) << field.common;
        EXPECT_EQ(field.encoding & ~0x7FFEU, 0U) << field.name;
        EXPECT_EQ(find_field(field.encoding), &field);
    }
    EXPECT_EQ(field_facts.size(), 167U);
    EXPECT_EQ(find_field(0x681E)->name, std::string_view{"Guest RIP"});
    EXPECT_EQ(find_field(0x4822)->common, std::string_view{"GUEST_TR_AR_BYTES"});
    EXPECT_EQ(find_field(0x6800)->identifier, std::string_view{"guest_cr0"});
    EXPECT_EQ(find_field(0x0C0E), nullptr);
}

// A name in a table is of a bit, and each bit has one name.
TEST(BitNames, AreOfOneBitEach) {
    const auto check = [](std::span<const BitName> names) {
        std::uint64_t seen = 0;
        for (const BitName& one : names) {
            EXPECT_EQ(std::popcount(one.mask), 1) << one.name;
            EXPECT_EQ(seen & one.mask, 0U) << one.name;
            seen |= one.mask;
        }
    };
    check(pin_control_names);
    check(primary_control_names);
    check(secondary_control_names);
    check(exit_control_names);
    check(entry_control_names);
    check(cr0_names);
    check(cr4_names);
    check(rflags_names);
    check(efer_names);
    check(debugctl_names);
    check(interruptibility_names);
    check(pending_debug_names);
}

}  // namespace
}  // namespace hvp::vmx
