// A guest's life as one call: what a session writes beyond `write_vmcs`, in which order, and that
// the processor is as before, whatever failed.
#include "hypervisor/vcpu/session.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/vmcs/fields.hpp"
#include "tests/unit/vcpu/fake_entry.hpp"
#include "tests/unit/vcpu/virtual_processor_memory.hpp"

namespace hvp::vmx {
namespace {

using arch::Msr;
using arch::processor;

constexpr std::uint64_t vmm_cr3 = 0x80'0000;

void guest_code(void*) {}

ept::Pointer pointer_at(std::uint64_t page) {
    return ept::pointer_to(arch::HostPhysicalAddress{page});
}

class SessionTest : public VirtualProcessorMemory {
protected:
    SessionTest() {
        for (const auto& [first, last] :
             std::vector<std::pair<std::uint32_t, std::uint32_t>>{{0x0000, 0x0000},
                                                                  {0x0800, 0x080E},
                                                                  {0x0812, 0x0812},
                                                                  {0x0C00, 0x0C0C},
                                                                  {0x2000, 0x201E},
                                                                  {0x202C, 0x202C},
                                                                  {0x2800, 0x2806},
                                                                  {0x2C00, 0x2C02},
                                                                  {0x4000, 0x401E},
                                                                  {0x4400, 0x4400},
                                                                  {0x4800, 0x482A},
                                                                  {0x4C00, 0x4C00},
                                                                  {0x6000, 0x6006},
                                                                  {0x6800, 0x6826},
                                                                  {0x6C00, 0x6C16}}) {
            for (std::uint32_t field = first; field <= last; field += 2) {
                processor.vmcs[field] = 0;
            }
        }
        processor.msrs[Msr::vmx_basic] = 0;
        processor.msrs[Msr::efer] = 0xD01;
        for (const Msr msr : {Msr::vmx_pinbased_ctls, Msr::vmx_procbased_ctls, Msr::vmx_exit_ctls,
                              Msr::vmx_entry_ctls, Msr::vmx_procbased_ctls2}) {
            processor.msrs[msr] = 0xFFFF'FFFF'0000'0000;
        }
        processor.msrs[Msr::vmx_ept_vpid_cap] = 0x0F01'0633'4141;  // corei7_skylake_x
        fake_guest = [this](VmmFrame& frame) {
            ++entries;
            registers_at_entry = processor.registers;
            argument_of_guest = frame.registers[Register::rcx];
            frame.owner->guest_stop.why = StopReason::stopped_by_guest;
        };
    }
    ~SessionTest() override { fake_guest = {}; }
    SessionTest(const SessionTest&) = delete;
    SessionTest& operator=(const SessionTest&) = delete;

    static bool has_executed(const std::string& instruction) {
        return std::ranges::find(processor.written, instruction) != processor.written.end();
    }
    template <typename F>
    static std::uint64_t value_of(F) {
        return processor.vmcs.at(F::encoding);
    }

    alignas(16) std::array<std::byte, 4096> guest_stack{};
    Session session{{.region = region,
                     .host_cr3 = vmm_cr3,
                     .guest_stack_end = guest_stack.data() + guest_stack.size()},
                    {.basic = {.revision_identifier = 0x2B},
                     .cr0_ones = arch::Flags<arch::Cr0>{0x8000'0021},
                     .cr4_ones = arch::Cr4::vmx_enable},
                    untraced_exits()};
    int argument{};
    int entries{};
    std::uint64_t argument_of_guest{};
    std::map<std::string, std::uint64_t> registers_at_entry{};
};

TEST_F(SessionTest, RunsAGuestAndRestoresTheProcessor) {
    const auto before = processor.registers;
    const auto guest_stop = session.run(guest_code, &argument);
    ASSERT_TRUE(guest_stop);
    EXPECT_EQ(guest_stop->why, StopReason::stopped_by_guest);
    EXPECT_EQ(entries, 1);
    EXPECT_EQ(argument_of_guest, reinterpret_cast<std::uint64_t>(&argument));
    EXPECT_EQ(value_of(host_cr3), vmm_cr3);
    EXPECT_EQ(value_of(guest_rsp),
              reinterpret_cast<std::uint64_t>(guest_stack.data() + guest_stack.size()) - 40);
    // [SDM 3C 23.7 "Enabling and Entering VMX Operation"]
    EXPECT_NE(registers_at_entry["CR4"] & 0x2000, 0U);
    EXPECT_EQ(processor.registers["CR4"], before.at("CR4"));
    EXPECT_EQ(processor.registers["CR0"], before.at("CR0"));
    EXPECT_FALSE(processor.in_vmx_operation);
    EXPECT_FALSE(has_executed("INVEPT 1")) << "there is no EPT";
}

TEST_F(SessionTest, GivesTheGuestWhatItsOptionsSay) {
    alignas(16) std::array<std::byte, 256> other_stack{};
    session.options.stack_end = other_stack.data() + other_stack.size();
    session.options.exceptions = 1U << 6;
    session.options.exit_code = [] {};
    ASSERT_TRUE(session.run(guest_code, nullptr));
    EXPECT_EQ(value_of(exception_bitmap), 1U << 6);
    EXPECT_EQ(value_of(guest_rsp),
              reinterpret_cast<std::uint64_t>(other_stack.data() + other_stack.size()) - 40);
    EXPECT_EQ(value_of(host_rip), reinterpret_cast<std::uint64_t>(session.options.exit_code));
}

// [SDM 3C 28.3.3.4 "Guidelines for Use of the INVEPT Instruction"]: another EPT may have lain in
// the same pages before.
TEST_F(SessionTest, FlushesEachEptThatTheGuestMayGetBeforeItsFirstEntry) {
    session.options.epts = {pointer_at(0x5000), pointer_at(0x6000), pointer_at(0x7000)};
    ASSERT_TRUE(session.run(guest_code, nullptr));
    EXPECT_EQ(std::ranges::count(processor.written, "INVEPT 1"), 3);
    EXPECT_EQ(registers_at_entry["INVEPT 1"], 0x701EU);
    EXPECT_EQ(value_of(ept_pointer), 0x501EU) << "it starts on the first";
}

TEST_F(SessionTest, DoesNotEnterAGuestWhoseEptCannotBeFlushed) {
    processor.refused["INVEPT"] = arch::VmxResult::fail_invalid;
    session.options.epts = {pointer_at(0x5000)};
    const auto guest_stop = session.run(guest_code, nullptr);
    ASSERT_FALSE(guest_stop);
    EXPECT_STREQ(guest_stop.error().why->step, "INVEPT");
    EXPECT_EQ(entries, 0);
    EXPECT_FALSE(processor.in_vmx_operation);
}

TEST_F(SessionTest, AddsFeatures) {
    session.options.epts = {pointer_at(0x5000)};
    session.options.features = {vpid(3), write_log(arch::HostPhysicalAddress{0x9000}),
                                unrestricted_guest()};
    ASSERT_TRUE(session.run(guest_code, nullptr));
    EXPECT_EQ(session.processor().vpid, 3U);
    EXPECT_TRUE(session.processor().write_log);
    EXPECT_TRUE(session.processor().unrestricted);
    EXPECT_EQ(value_of(virtual_processor_identifier), 3U);
    EXPECT_EQ(value_of(pml_address), 0x9000U);
    // The next guest has none of them.
    session.options.features = {};
    ASSERT_TRUE(session.run(guest_code, nullptr));
    EXPECT_EQ(session.processor().vpid, 0U);
    EXPECT_FALSE(session.processor().write_log);
    EXPECT_FALSE(session.processor().unrestricted);
}

// A processor without the feature runs the guest all the same; a feature that fails ends it.
TEST_F(SessionTest, LacksAFeatureQuietlyButFailsWithOneThatFails) {
    session.options.epts = {pointer_at(0x5000)};
    processor.msrs[Msr::vmx_procbased_ctls2] = 0x0002'0000'0000;  // EPT alone
    session.options.features = {vpid(3), unrestricted_guest()};
    ASSERT_TRUE(session.run(guest_code, nullptr));
    EXPECT_EQ(session.processor().vpid, 0U);
    processor.msrs[Msr::vmx_misc] = 0;
    session.options.features = {interrupt_exiting()};
    const auto guest_stop = session.run(guest_code, nullptr);
    ASSERT_FALSE(guest_stop);
    EXPECT_STREQ(guest_stop.error().why->step, "HLT activity state");
    EXPECT_EQ(entries, 1);
}

TEST_F(SessionTest, ChoosesTheStepBeforeTheGuestsVmcsIsWritten) {
    static bool vmcs_was_current;
    vmcs_was_current = true;
    session.options.choose_step = [](const ProcessorRegion& where, const arch::ProcessorState&,
                                     std::byte*,
                                     std::uint64_t) -> std::expected<std::uint64_t, Failure> {
        vmcs_was_current = processor.current_vmcs != arch::no_vmcs;
        where.memory->processor.step.by = StepBy::monitor_trap_flag;
        return 4711;
    };
    ASSERT_TRUE(session.run(guest_code, nullptr));
    EXPECT_EQ(session.timestamps().probe_at, 4711U);  // when its guest was entered
    EXPECT_FALSE(vmcs_was_current);
    EXPECT_EQ(session.processor().step.by, StepBy::monitor_trap_flag);
}

TEST_F(SessionTest, ReportsWhyThereWasNoVmxOperation) {
    processor.refused["VMXON"] = arch::VmxResult::fail_invalid;
    const auto guest_stop = session.run(guest_code, nullptr);
    ASSERT_FALSE(guest_stop);
    EXPECT_STREQ(guest_stop.error().why->step, "VMXON");
    EXPECT_EQ(entries, 0);
    EXPECT_EQ(processor.registers["CR4"], 0x37'06F8U);
}

// The run before has been on the VMM's tables and is back. What fails before the next VM exit must
// not load GDTR, IDTR and TR once more.
TEST_F(SessionTest, RestoresNoTablesAfterARunThatHadNoVmExit) {
    fake_guest = [this](VmmFrame&) {
        processor.gdtr = {.limit_bytes = 0xFFFF,
                          .base = reinterpret_cast<std::uint64_t>(&memory->tables.gdt)};
    };
    ASSERT_TRUE(session.run(guest_code, nullptr));
    ASSERT_TRUE(has_executed("GDTR")) << "a VM exit has loaded the VMM's";
    processor.written.clear();
    processor.refused["VMXON"] = arch::VmxResult::fail_invalid;
    ASSERT_FALSE(session.run(guest_code, nullptr));
    EXPECT_FALSE(has_executed("GDTR"));
    EXPECT_FALSE(has_executed("IDTR"));
}

}  // namespace
}  // namespace hvp::vmx
