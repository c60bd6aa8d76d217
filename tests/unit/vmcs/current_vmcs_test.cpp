// Fields reach the VMCS at their encodings, and the first refusal is kept.
#include "hypervisor/vmcs/current_vmcs.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string_view>
#include <vector>

#include "hypervisor/vmcs/dump.hpp"
#include "hypervisor/vmcs/entry_checks.hpp"
#include "hypervisor/vmcs/names/field_names.hpp"

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

// What this processor has is noted, in the order of the encodings from 4400H on, around; a VMREAD
// that fails ends nothing.
TEST_F(CurrentVmcsTest, IsNotedFieldByField) {
    processor.vmcs = {{0x6C16, 5}, {0x0000, 1}, {0x201A, 0x1E}, {0x4012, 0x13FF}, {0x681E, 2}};
    VmcsDump dump{};
    read_all_fields(dump);
    const std::vector<std::uint64_t> noted(dump.all().begin(), dump.all().end());
    EXPECT_EQ(noted, (std::vector<std::uint64_t>{0x681E, 2, 0x6C16, 5, 0x0000, 1, 0x201A, 0x1E,
                                                 0x4012, 0x13FF}));
}

// The first fields that this processor lacks are tried before 4400H is: each failure leaves its own
// number, 12, there.  [SDM 3C 30.4 "VM Instruction Error Numbers"]
TEST_F(CurrentVmcsTest, KeepsTheErrorThatTheRefusedEntryLeft) {
    processor.vmcs = {{0x4400, 7}, {0x6C16, 5}};
    VmcsDump dump{};
    read_all_fields(dump);
    const std::vector<std::uint64_t> noted(dump.all().begin(), dump.all().end());
    EXPECT_EQ(noted, (std::vector<std::uint64_t>{0x4400, 7, 0x6C16, 5}));
}

TEST_F(CurrentVmcsTest, NotesAllFieldsThatTheManualHas) {
    for (const FieldFacts& field : field_facts) {
        processor.vmcs[field.encoding] = field.encoding + 1;
    }
    VmcsDump dump{};
    read_all_fields(dump);
    EXPECT_EQ(dump.all().size(), 2 * field_facts.size());
}

// A processor with more fields than anybody knows: the rest is left out, and nothing overflows.
TEST_F(CurrentVmcsTest, NotesNoMoreThanThereIsRoomFor) {
    for (std::uint32_t encoding = 0; encoding < 0x8000; encoding += 2) {
        processor.vmcs[encoding] = 1;
    }
    VmcsDump dump{};
    read_all_fields(dump);
    EXPECT_EQ(dump.all().size(), dump.words.size());
}

/// The processor's own VMCS, as the rules of VM entry read it.
struct OwnVmcs {
    [[nodiscard]] std::optional<std::uint64_t> find(std::uint32_t encoding) const {
        std::uint64_t value = 0;
        return arch::try_vmread(encoding, value) ? std::optional{value} : std::nullopt;
    }
};
struct NoFacts {
    [[nodiscard]] std::optional<std::uint64_t> msr(arch::Msr) const { return 0; }
    [[nodiscard]] std::optional<std::uint64_t> fact(checks::Fact) const { return 0; }
    [[nodiscard]] std::optional<std::uint64_t> memory(std::uint64_t) const { return 0; }
};

TEST_F(CurrentVmcsTest, IsReadByTheRulesOfVmEntryAsAnImageIs) {
    processor.vmcs = {{guest_rflags.encoding, 0}};
    const OwnVmcs own;
    const NoFacts facts;
    bool found = false;
    checks::examine(
        own, facts, [&](const checks::EntryRule& rule, checks::CheckResult, auto missing) {
            found |= missing.empty() && std::string_view{rule.id} == "guest-rflags-bit-1";
        });
    EXPECT_TRUE(found);
}

}  // namespace
}  // namespace hvp::vmx
