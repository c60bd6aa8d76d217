// The VMCS of a virtual processor: complete, and right where a mistake would show late.
#include <vector>

#include "hypervisor/vcpu/entry.hpp"
#include "hypervisor/vmcs/fields.hpp"
#include "tests/unit/vcpu/virtual_processor_memory.hpp"

namespace hvp::vmx {
namespace {

using arch::Msr;
using arch::processor;

/// What a new VMCS may hold: anything.  [SDM 3C 24.11.3 "Initializing a VMCS"]
constexpr std::uint64_t rubbish = 0xDEAD'BEEF'DEAD'BEEF;
constexpr std::uint64_t vmm_cr3 = 0x80'0000;

void guest_code(void*) {}

/// The encodings from `first` to `last`, of one width and area.
void append(std::vector<std::uint32_t>& fields, std::uint32_t first, std::uint32_t last) {
    for (std::uint32_t encoding = first; encoding <= last; encoding += 2) {
        fields.push_back(encoding);
    }
}

/// The fields that VM entry checks or uses on every processor, whatever the controls say but for
/// the MSR bitmaps.  [SDM 3D B.1 "16-Bit Fields"] to [SDM 3D B.4 "Natural-Width Fields"]
std::vector<std::uint32_t> required_fields() {
    std::vector<std::uint32_t> fields{msr_bitmap_address.encoding, tsc_offset.encoding,
                                      guest_vmcs_link_pointer.encoding, guest_debugctl.encoding};
    append(fields, 0x0800, 0x080E);  // guest selectors, ES to TR
    append(fields, 0x0C00, 0x0C0C);  // host selectors, ES to TR
    append(fields, 0x4000, 0x401A);  // controls, pin-based ones to the entry's instruction length
    fields.push_back(secondary_processor_based_controls.encoding);
    fields.push_back(xss_exiting_bitmap.encoding);
    append(fields, 0x4800, 0x4826);  // guest limits, rights, interruptibility, activity
    fields.push_back(guest_sysenter_cs.encoding);
    fields.push_back(host_sysenter_cs.encoding);
    append(fields, 0x6000, 0x6006);  // masks and shadows of CR0 and CR4
    append(fields, 0x6800, 0x6826);  // guest CR0 to IA32_SYSENTER_EIP
    append(fields, 0x6C00, 0x6C16);  // host CR0 to RIP
    return fields;
}

class WriteVmcsTest : public VirtualProcessorMemory {
protected:
    WriteVmcsTest() {
        processor.registers["CR0"] = 0x8005'0033;
        windows = arch::ProcessorState::capture();
        // VMX operation wants more of them than Windows has.
        processor.registers["CR4"] |= 0x2000;
        processor.msrs[Msr::vmx_basic] = 0;
        for (const Msr msr : {Msr::vmx_pinbased_ctls, Msr::vmx_procbased_ctls, Msr::vmx_exit_ctls,
                              Msr::vmx_entry_ctls}) {
            processor.msrs[msr] = 0xFFFF'FFFF'0000'0000;
        }
        processor.msrs[Msr::vmx_procbased_ctls2] = 0xFFFF'FFFF'0000'0000;
        for (const std::uint32_t field : required_fields()) {
            processor.vmcs[field] = rubbish;
        }
        processor.vmcs[vm_instruction_error.encoding] = 12;
    }
    std::expected<void, Failure> write() {
        return write_vmcs(region, windows,
                          {.code = guest_code,
                           .argument = &argument,
                           .stack_end = guest_stack.data() + guest_stack.size()},
                          vmm_cr3);
    }
    template <typename F>
    static std::uint64_t value_of(F) {
        return processor.vmcs.at(F::encoding);
    }

    arch::ProcessorState windows{};
    int argument{};
    alignas(16) std::array<std::byte, 4096> guest_stack{};
};

TEST_F(WriteVmcsTest, LeavesNoFieldToChance) {
    ASSERT_TRUE(write());
    for (const std::uint32_t field : required_fields()) {
        EXPECT_NE(processor.vmcs[field], rubbish) << std::hex << field;
    }
}

// Some fields exist only where a control does. Whatever is written must be there everywhere, and
// each refusal tells which field it was.
TEST_F(WriteVmcsTest, NamesTheFieldThatAProcessorLacks) {
    for (const std::uint32_t field : required_fields()) {
        processor.vmcs.erase(field);
        const auto written = write();
        ASSERT_FALSE(written) << std::hex << field;
        EXPECT_EQ(written.error().kind, FailureKind::instruction_failed);
        EXPECT_EQ(written.error().number, field);
        EXPECT_EQ(written.error().result, arch::VmxResult::fail_valid);
        EXPECT_EQ(written.error().error_number, 12U);
        processor.vmcs[field] = rubbish;
    }
}

// [SDM 3C 26.2.3 "Checks on Host Segment and Descriptor-Table Registers"]
TEST_F(WriteVmcsTest, HostSelectorsHaveNoPrivilegeLevelAndATask) {
    ASSERT_TRUE(write());
    for (std::uint32_t field = 0x0C00; field <= 0x0C0C; field += 2) {
        EXPECT_EQ(processor.vmcs[field] & 7, 0U) << std::hex << field;
    }
    EXPECT_EQ(value_of(host_cs_selector), 0x10U);
    EXPECT_EQ(value_of(host_ss_selector), 0x18U);
    EXPECT_EQ(value_of(host_tr_selector), sizeof gdt);
}

// IA32_S_CET is the guest's also after an exit: the VMM must not be under it.
TEST_F(WriteVmcsTest, TheHostHasNoCet) {
    processor.registers["CR4"] |= 1ULL << 23;
    ASSERT_TRUE(write());
    EXPECT_EQ(value_of(host_cr4) >> 23 & 1, 0U);
    EXPECT_EQ(value_of(guest_cr4) >> 23 & 1, 1U);
}

// An exit arrives in the VMM's world, and in nothing of Windows'.
TEST_F(WriteVmcsTest, TheHostIsTheVmmsOwn) {
    ASSERT_TRUE(write());
    EXPECT_EQ(value_of(host_cr3), vmm_cr3);
    EXPECT_EQ(value_of(host_cr4), 0x37'26F8U) << "with VMXE, as VMX operation wants it";
    EXPECT_EQ(value_of(host_rsp), reinterpret_cast<std::uint64_t>(memory->frame()));
    EXPECT_EQ(value_of(host_rip), reinterpret_cast<std::uint64_t>(&hvp_exit_to_vmm));
    EXPECT_EQ(value_of(host_tr_base), reinterpret_cast<std::uint64_t>(&memory->tables.task));
    EXPECT_EQ(value_of(host_gdtr_base), reinterpret_cast<std::uint64_t>(&memory->tables.gdt));
    EXPECT_EQ(value_of(host_idtr_base), reinterpret_cast<std::uint64_t>(&memory->tables.idt));
    // But for GS, by which Windows finds its own in every moment of the way out.
    EXPECT_EQ(value_of(host_gs_base), 0xFFFF'F803'0000'0000U);
}

// What differs shows first in a thread switch or a system call of the guest, much later.
TEST_F(WriteVmcsTest, TheGuestIsACloneOfWindows) {
    ASSERT_TRUE(write());
    EXPECT_EQ(value_of(guest_cr3), 0x1A'D000U);
    EXPECT_EQ(value_of(guest_dr7), 0x455U);
    EXPECT_EQ(value_of(guest_debugctl), 2U);
    EXPECT_EQ(value_of(guest_gdtr_base), std::uint64_t{windows.gdtr.base});
    EXPECT_EQ(value_of(guest_gdtr_limit), sizeof gdt - 1);
    EXPECT_EQ(value_of(guest_idtr_base), 0xFFFF'F803'0000'1000U);
    EXPECT_EQ(value_of(guest_idtr_limit), 0xFFFU);
    EXPECT_EQ(value_of(guest_sysenter_cs), 0x11U);
    EXPECT_EQ(value_of(guest_sysenter_esp), 0x222U);
    EXPECT_EQ(value_of(guest_sysenter_eip), 0x333U);
    const std::array<std::uint64_t, 8> selectors{0x2B, 0x10, 0x18, 0x2B, 0x53, 0x2B, 0, 0x40};
    for (std::uint32_t i = 0; i < selectors.size(); ++i) {
        EXPECT_EQ(processor.vmcs[nth(guest_es_selector, SegmentIndex{i})], selectors[i]) << i;
    }
    EXPECT_EQ(processor.vmcs[nth(guest_es_base, SegmentIndex::tr)], task_base);
    EXPECT_EQ(processor.vmcs[nth(guest_es_limit, SegmentIndex::tr)], 0x67U);
    EXPECT_EQ(processor.vmcs[nth(guest_es_rights, SegmentIndex::cs)], 0x209BU);
}

// [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"]: all ones is the link to no shadow VMCS.
TEST_F(WriteVmcsTest, TheGuestStartsInItsFunctionWithNothingPending) {
    ASSERT_TRUE(write());
    EXPECT_EQ(value_of(guest_rip), reinterpret_cast<std::uint64_t>(&guest_code));
    const std::uint64_t rsp = value_of(guest_rsp);
    EXPECT_EQ(rsp % 16, 8U) << "as behind a CALL";
    EXPECT_EQ(rsp + 40, reinterpret_cast<std::uint64_t>(guest_stack.data() + guest_stack.size()));
    EXPECT_EQ(memory->frame()->registers[Register::rcx],
              reinterpret_cast<std::uint64_t>(&argument));
    EXPECT_EQ(value_of(guest_rflags), 2U) << "interrupts off";
    EXPECT_EQ(value_of(guest_activity_state), 0U);
    EXPECT_EQ(value_of(guest_interruptibility_state), 0U);
    EXPECT_EQ(value_of(guest_pending_debug_exceptions), 0U);
    EXPECT_EQ(value_of(entry_interruption_information), 0U);
    EXPECT_EQ(value_of(guest_vmcs_link_pointer), ~0ULL);
}

// The guest reads the CR4 that it had, without VMXE, and cannot write the bits that are fixed.
// [SDM 3C 24.6.6 "Guest/Host Masks and Read Shadows for CR0 and CR4"]
TEST_F(WriteVmcsTest, TheGuestSeesTheControlRegistersThatWindowsHad) {
    ASSERT_TRUE(write());
    EXPECT_EQ(value_of(guest_cr4), 0x37'26F8U);
    EXPECT_EQ(value_of(cr4_read_shadow), 0x37'06F8U);
    EXPECT_EQ(value_of(cr4_guest_host_mask), 0x2000U);
    EXPECT_EQ(value_of(cr0_read_shadow), 0x8005'0033U);
    EXPECT_EQ(value_of(cr0_guest_host_mask), 0x8000'0021U);
}

// Exactly what we want: a control more would be an exit that no handler expects.
TEST_F(WriteVmcsTest, ControlsAreThoseThatTheHandlersExpect) {
    ASSERT_TRUE(write());
    EXPECT_EQ(value_of(pin_based_controls), 0x28U);  // NMI exiting, virtual NMIs
    // HLT, MOV to CR3, MOV from CR3 exit; MSR bitmaps; secondary controls
    EXPECT_EQ(value_of(primary_processor_based_controls), 0x9001'8080U);
    // RDTSCP, INVPCID, XSAVES, TPAUSE; no PCONFIG
    EXPECT_EQ(value_of(secondary_processor_based_controls), 0x0410'1008U);
    EXPECT_EQ(value_of(xss_exiting_bitmap), 0U);
    EXPECT_EQ(value_of(exit_controls), 0x204U);   // 64-bit host, debug controls saved
    EXPECT_EQ(value_of(entry_controls), 0x204U);  // 64-bit guest, debug controls loaded
    EXPECT_EQ(value_of(msr_bitmap_address), region.physical_of(&memory->msr_bitmap).raw());
    EXPECT_EQ(value_of(exception_bitmap), 0U);
    for (const std::uint32_t count : {0x400AU, 0x400EU, 0x4010U, 0x4014U}) {
        EXPECT_EQ(processor.vmcs[count], 0U) << "no CR3 targets, no MSR lists: " << count;
    }
}

// [SDM 3D A.3.3 "Secondary Processor-Based VM-Execution Controls"]: the guest gets of the
// instructions what there is; only PCONFIG and the like it never gets.
TEST_F(WriteVmcsTest, GivesTheGuestTheInstructionsThatThereAre) {
    for (const std::uint32_t control : {1U << 3, 1U << 12, 1U << 20, 1U << 26}) {
        processor.msrs[Msr::vmx_procbased_ctls2] = (std::uint64_t{control} | 1U << 27) << 32;
        ASSERT_TRUE(write());
        EXPECT_EQ(value_of(secondary_processor_based_controls), control);
    }
}

// Neither the MSR nor the fields exist there.
TEST_F(WriteVmcsTest, TouchesNoSecondaryControlWhereThereAreNone) {
    processor.msrs[Msr::vmx_procbased_ctls] = 0x7FFF'FFFF'0000'0000;
    processor.msrs.erase(Msr::vmx_procbased_ctls2);
    processor.vmcs.erase(secondary_processor_based_controls.encoding);
    processor.vmcs.erase(xss_exiting_bitmap.encoding);
    ASSERT_TRUE(write());
    EXPECT_EQ(value_of(primary_processor_based_controls), 0x1001'8080U);
}

TEST_F(WriteVmcsTest, GivesUpForEachWordOfControlsThatIsNotToBeHad) {
    for (const Msr msr : {Msr::vmx_pinbased_ctls, Msr::vmx_procbased_ctls, Msr::vmx_exit_ctls,
                          Msr::vmx_entry_ctls}) {
        processor.msrs[msr] = 0;
        const auto written = write();
        ASSERT_FALSE(written);
        EXPECT_EQ(written.error().kind, FailureKind::not_supported);
        EXPECT_NE(written.error().number, 0U);
        processor.msrs[msr] = 0xFFFF'FFFF'0000'0000;
    }
}

/// The lists of MSRs, and what an exit does with the counters.
class CountersTest : public WriteVmcsTest {
protected:
    CountersTest() {
        processor.cpuid[0].eax = 0x16;
        processor.cpuid[0xA].eax = 4;
        processor.msrs[Msr::perf_global_ctrl] = 0x7'0000'000F;
        for (const std::uint32_t field : {0x2006U, 0x2008U, 0x200AU, 0x2C04U}) {
            processor.vmcs[field] = rubbish;
        }
    }
    void have_pebs() {
        processor.cpuid[1].edx = 1U << 21;
        processor.msrs[Msr::misc_enable] = 0;
        processor.msrs[Msr::pebs_enable] = 1;
    }
    [[nodiscard]] const GuestCounters& counters() const { return memory->processor.counters; }
};

// [SDM 3C 27.5.1 "Loading Host Control Registers, Debug Registers, MSRs"]: what a profiler has
// started does not go on in the VMM, and goes on in the guest.
TEST_F(CountersTest, AreOffInTheVmmAndTheGuestsInTheGuest) {
    ASSERT_TRUE(write());
    EXPECT_EQ(value_of(exit_controls), 0x1204U);
    EXPECT_EQ(value_of(host_perf_global_ctrl), 0U);
    EXPECT_EQ(value_of(exit_msr_store_count), 1U);
    EXPECT_EQ(value_of(exit_msr_load_count), 0U);
    EXPECT_EQ(value_of(entry_msr_load_count), 1U);
    const std::uint64_t list = region.physical_of(&counters().of_guest).raw();
    // [SDM 3C 26.2.1.2 "VM-Exit Control Fields"]
    EXPECT_EQ(list % 16, 0U);
    EXPECT_EQ(value_of(exit_msr_store_address), list);
    EXPECT_EQ(value_of(entry_msr_load_address), list);
    EXPECT_EQ(counters().of_guest[0].msr, Msr::perf_global_ctrl);
    EXPECT_EQ(counters().of_guest[0].value, 0x7'0000'000FU);
}

TEST_F(CountersTest, PebsIsOffInTheVmmAsWell) {
    have_pebs();
    ASSERT_TRUE(write());
    EXPECT_EQ(value_of(exit_msr_store_count), 2U);
    EXPECT_EQ(value_of(entry_msr_load_count), 2U);
    EXPECT_EQ(counters().of_guest[1].msr, Msr::pebs_enable);
    EXPECT_EQ(counters().of_guest[1].value, 1U);
    EXPECT_EQ(value_of(exit_msr_load_count), 1U);
    EXPECT_EQ(value_of(exit_msr_load_address), region.physical_of(&counters().pebs_off).raw());
    EXPECT_EQ(counters().pebs_off.msr, Msr::pebs_enable);
    EXPECT_EQ(counters().pebs_off.value, 0U);
    // [SDM 3A 18.6.3.8 "Processor Event-Based Sampling (PEBS)"]: bit 12 says that there is none.
    processor.msrs[Msr::misc_enable] = 1U << 12;
    processor.msrs.erase(Msr::pebs_enable);
    ASSERT_TRUE(write());
    EXPECT_EQ(value_of(exit_msr_store_count), 1U);
}

// A guest before this one in the same VMX operation has left the MSR 0, and the value in the list.
TEST_F(CountersTest, AreNotReadAfterAnExit) {
    ASSERT_TRUE(write());
    processor.msrs[Msr::perf_global_ctrl] = 0;
    memory->processor.own_tables = true;
    ASSERT_TRUE(write());
    EXPECT_EQ(counters().of_guest[0].value, 0x7'0000'000FU);
    counters().restore_to_host();
    EXPECT_EQ(processor.msrs[Msr::perf_global_ctrl], 0x7'0000'000FU);
}

// [SDM 3A 18.2.2 "Architectural Performance Monitoring Version 2"]: the MSR does not exist before.
TEST_F(CountersTest, AreNotTouchedWhereTheyCannotBeSwitched) {
    processor.msrs.erase(Msr::perf_global_ctrl);
    const auto expect_untouched = [&] {
        ASSERT_TRUE(write());
        EXPECT_EQ(value_of(exit_controls), 0x204U);
        EXPECT_EQ(value_of(exit_msr_store_count), 0U);
        EXPECT_EQ(value_of(entry_msr_load_count), 0U);
        counters().restore_to_host();
    };
    processor.cpuid[0xA].eax = 1;
    expect_untouched();
    processor.cpuid[0xA].eax = 4;
    processor.cpuid[0].eax = 9;
    expect_untouched();
    processor.cpuid[0].eax = 0x16;
    processor.msrs[Msr::vmx_exit_ctls] &= ~(std::uint64_t{1} << (32 + 12));
    expect_untouched();
}

// VM entry would refuse a null host TR, and say only "invalid host-state field".
TEST_F(WriteVmcsTest, GivesUpWithoutPlaceForTheHostsTask) {
    std::vector<std::uint64_t> large{gdt.begin(), gdt.end()};
    large.resize(HostTables::gdt_slots);
    windows.gdtr = {.limit_bytes = HostTables::gdt_slots * 8 - 1,
                    .base = reinterpret_cast<std::uint64_t>(large.data())};
    const auto written = write();
    ASSERT_FALSE(written);
    EXPECT_STREQ(written.error().why->step, "host GDT");
    EXPECT_EQ(value_of(host_tr_selector), rubbish) << "nothing is written";
}

TEST_F(WriteVmcsTest, GivesUpWithASegmentThatCannotBeDescribed) {
    windows.ds = arch::selector_from(0x5B);
    const auto written = write();
    ASSERT_FALSE(written);
    EXPECT_STREQ(written.error().why->step, "segments");
}

}  // namespace
}  // namespace hvp::vmx
