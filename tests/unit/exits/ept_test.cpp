// EPT violations and misconfigurations: what the VMM makes of them, and what it asks before it
// gives a guest an EPT.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>

#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/vcpu/setup/ept_setup.hpp"
#include "tests/unit/exits/exit_outcome.hpp"

namespace hvp::vmx {
namespace {

using arch::Msr;

constexpr std::uint64_t rip = 0xFFFF'F801'0000'1000;

/// A stage that notes what it is asked.
struct Stage {
    bool answer = true;
    std::optional<ept::Pointer> ept{};
    bool for_one_instruction = false;
    std::vector<ept::GuestMemoryEvent> events{};
    std::vector<std::uint64_t> calls{};
    int logs_taken{};
    int own_nmis{};  ///< that another processor's VMM has sent
};

AfterEvent on_violation(Exit exit, Stage& stage) {
    const ept::GuestMemoryEvent event = guest_memory_event(exit, false);
    stage.events.push_back(event);
    return after_violation(exit, event,
                           {.goes_on = stage.answer,
                            .ept = stage.ept,
                            .for_one_instruction = stage.for_one_instruction});
}
Next on_call(Exit exit, Stage& stage) {
    return answer_vmcall(exit, [&](std::uint64_t call, std::uint64_t argument) {
        stage.calls.push_back(call);
        return stage.answer ? std::optional{argument * 2} : std::nullopt;
    });
}
AfterEvent on_log_full(Exit exit, Stage& stage) {
    ++stage.logs_taken;
    return restart_page_modification_log(exit);
}
bool is_ours(Stage& stage) {
    return stage.own_nmis > 0 && stage.own_nmis-- > 0;
}
AfterEvent on_nmi(Exit exit, Stage& stage) {
    return answer_exception_or_nmi(exit, [&] { return is_ours(stage); });
}
AfterEvent on_nmi_window(Exit exit, Stage& stage) {
    return answer_window(exit, [&] { return is_ours(stage); });
}

constexpr auto stage_handlers = default_handlers.with<ExitReason::ept_violation, on_violation>()
                                    .with<ExitReason::vmcall, on_call>()
                                    .with<ExitReason::exception_or_nmi, on_nmi>()
                                    .with<ExitReason::nmi_window, on_nmi_window>();
constexpr auto handlers_with_log =
    stage_handlers.with<ExitReason::page_modification_log_full, on_log_full>();

class EptExit : public testing::Test {
protected:
    EptExit() {
        arch::processor = {};
        frame_.owner = &processor_;
        vmcs_.write(guest_cr0, arch::Cr0::protection_enable | arch::Cr0::paging);
        processor_.ring = &ring_;
        use_exit_path(frame_, exit_path<stage_handlers>(stage_));
        vmcs_.write(guest_rip, arch::GuestLinearAddress{rip});
        vmcs_.write(guest_cs_rights, {.long_mode = 1});
        vmcs_.write(guest_rflags,
                    arch::Flags{arch::Rflags::always_one} | arch::Rflags::interrupt_enable);
        vmcs_.write(guest_physical_address, arch::GuestPhysicalAddress{0x12'3456'7890});
        vmcs_.write(guest_linear_address, arch::GuestLinearAddress{0xFFFF'F880'0000'1234});
        vmcs_.write(exit_instruction_length, 5);  // rubbish, as the SDM allows
    }
    bool exit(ExitReason reason, std::uint64_t qualification = 0x181) {
        vmcs_.write(exit_reason, {.basic_reason = number_of(reason)});
        vmcs_.write(exit_qualification, qualification);
        return goes_on_after_exit(frame_);
    }
    [[nodiscard]] std::uint64_t moved() const { return vmcs_.read(guest_rip).raw() - rip; }

    UncheckedVmcs vmcs_{};
    VmmFrame frame_{};
    VirtualProcessor processor_{};
    trace::Ring ring_{};
    Stage stage_;
};

TEST_F(EptExit, AViolationIsAnsweredByTheStageAndTriedAgain) {
    EXPECT_TRUE(exit(ExitReason::ept_violation, 0x182));
    EXPECT_EQ(moved(), 0U) << "nothing has been executed";
    ASSERT_EQ(stage_.events.size(), 1U);
    EXPECT_EQ(stage_.events[0].guest_physical.raw(), 0x12'3456'7890U);
    EXPECT_EQ(stage_.events[0].guest_linear.raw(), 0xFFFF'F880'0000'1234U);
    EXPECT_EQ(stage_.events[0].guest_rip.raw(), rip);
    EXPECT_EQ(std::bit_cast<std::uint64_t>(stage_.events[0].qualification), 0x182U);
    EXPECT_FALSE(stage_.events[0].is_misconfiguration);
}

// [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-7], bit 7
TEST_F(EptExit, ALinearAddressThatIsNotValidIsNotRead) {
    EXPECT_TRUE(exit(ExitReason::ept_violation, 0x1));
    EXPECT_EQ(stage_.events[0].guest_linear.raw(), 0U);
}

TEST_F(EptExit, AViolationThatTheStageDoesNotAnswerEndsTheGuest) {
    stage_.answer = false;
    EXPECT_FALSE(exit(ExitReason::ept_violation));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::outside_memory);
    EXPECT_EQ(processor_.guest_stop.memory.guest_physical.raw(), 0x12'3456'7890U);
    EXPECT_EQ(processor_.guest_stop.guest_rip, rip);
    EXPECT_EQ(moved(), 0U);
    use_exit_path(frame_, untraced_exits());
    EXPECT_FALSE(exit(ExitReason::ept_violation)) << "and where there is no stage";
}

// [SDM 3C 28.3.2 "Creating and Using Cached Translation Information"]: another EPT pointer is
// another context, so there is nothing to forget.
TEST_F(EptExit, TheStageMayChooseAnotherEpt) {
    vmcs_.write(ept_pointer, ept::pointer_to(arch::HostPhysicalAddress{0x5000}));
    EXPECT_TRUE(exit(ExitReason::ept_violation));
    EXPECT_EQ(vmcs_.read(ept_pointer).frame, 5U) << "nothing was chosen";
    stage_.ept = ept::pointer_to(arch::HostPhysicalAddress{0x6000});
    EXPECT_TRUE(exit(ExitReason::ept_violation));
    EXPECT_EQ(vmcs_.read(ept_pointer).frame, 6U);
    EXPECT_THAT(arch::processor.written, testing::IsEmpty()) << "no INVEPT";
}

// [SDM 3C 31.7.1.2 "Resuming Guest Software after Handling an Exception"]
TEST_F(EptExit, AnIretThatIsTriedAgainHasNmisBlockedAgain) {
    EXPECT_TRUE(exit(ExitReason::ept_violation, 0x181));
    EXPECT_TRUE(vmcs_.read(guest_interruptibility_state).empty());
    EXPECT_TRUE(exit(ExitReason::ept_violation, 0x1181));
    EXPECT_TRUE(vmcs_.read(guest_interruptibility_state).has(Interruptibility::blocking_by_nmi));
}

// The log's place is given again, and an event that was being delivered comes anew.
TEST_F(EptExit, AFullLogIsTakenAndBegunAnew) {
    vmcs_.write(guest_pml_index, 0xFFFF);
    vmcs_.write(idt_vectoring_information, {.vector = 0xD1, .type = 0, .valid = 1});
    EXPECT_FALSE(exit(ExitReason::page_modification_log_full, 0))
        << "a stage that does not want the log has none";
    use_exit_path(frame_, exit_path<handlers_with_log>(stage_));
    EXPECT_TRUE(exit(ExitReason::page_modification_log_full, 0));
    EXPECT_EQ(stage_.logs_taken, 1);
    EXPECT_EQ(vmcs_.read(guest_pml_index), 511);
    EXPECT_EQ(vmcs_.read(entry_interruption_information).vector, 0xD1U);
    EXPECT_EQ(moved(), 0U);
}

TEST_F(EptExit, AMisconfigurationEndsTheGuest) {
    EXPECT_FALSE(exit(ExitReason::ept_misconfiguration, 0));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::ept_misconfigured);
    EXPECT_TRUE(processor_.guest_stop.memory.is_misconfiguration);
    EXPECT_EQ(processor_.guest_stop.memory.guest_linear.raw(), 0U) << "it has none";
    EXPECT_EQ(processor_.guest_stop.memory.guest_physical.raw(), 0x12'3456'7890U);
    EXPECT_EQ(moved(), 0U);
}

TEST_F(EptExit, TheTraceHasTheGuestPhysicalAddress) {
    use_exit_path(frame_, exit_path<stage_handlers, Traced<false>>(stage_));
    EXPECT_TRUE(exit(ExitReason::ept_violation));
    trace::ExitEvent event{};
    ASSERT_TRUE(ring_.read(event));
    EXPECT_EQ(event.detail, 0x12'3456'7890U);
}

TEST_F(EptExit, HypercallsThatTheVmmDoesNotKnowGoToTheStage) {
    frame_.registers[Register::rax] = first_call_of_stage;
    frame_.registers[Register::rcx] = 21;
    EXPECT_TRUE(exit(ExitReason::vmcall));
    EXPECT_EQ(frame_.registers[Register::rax], 0U);
    EXPECT_EQ(frame_.registers[Register::rdx], 42U);
    EXPECT_EQ(moved(), 5U);
    stage_.answer = false;
    frame_.registers[Register::rax] = first_call_of_stage;
    EXPECT_TRUE(exit(ExitReason::vmcall));
    EXPECT_EQ(frame_.registers[Register::rax],
              static_cast<std::uint64_t>(HypercallStatus::unknown_call));
    EXPECT_THAT(stage_.calls, testing::ElementsAre(first_call_of_stage, first_call_of_stage));
}

// ---- An event whose delivery met the violation

class DuringDelivery : public EptExit {
protected:
    void deliver(const InterruptionInformation& event, std::uint32_t error_code = 0) {
        vmcs_.write(idt_vectoring_information, event);
        vmcs_.write(idt_vectoring_error_code, error_code);
        EXPECT_TRUE(exit(ExitReason::ept_violation, 0x1182));
    }
    [[nodiscard]] std::uint32_t injected() const {
        return std::bit_cast<std::uint32_t>(vmcs_.read(entry_interruption_information));
    }
};

// [SDM 3C 31.7.1.2 "Resuming Guest Software after Handling an Exception"]
TEST_F(DuringDelivery, AnInterruptComesAnew) {
    deliver({.vector = 0xD1, .type = 0, .nmi_unblocking = 1, .valid = 1});
    EXPECT_EQ(injected(), 0x8000'00D1U) << "bit 12 is undefined at the exit, and 0 at the entry";
    EXPECT_TRUE(vmcs_.read(guest_interruptibility_state).empty()) << "no IRET was executed";
    EXPECT_EQ(moved(), 0U);
}

TEST_F(DuringDelivery, AnExceptionHasItsErrorCode) {
    deliver({.vector = 14, .type = 3, .has_error_code = 1, .valid = 1}, 0x13);
    EXPECT_EQ(injected(), 0x8000'0B0EU);
    EXPECT_EQ(vmcs_.read(entry_exception_error_code), 0x13U);
    EXPECT_EQ(vmcs_.read(entry_instruction_length), 0U) << "only for those of instructions";
}

TEST_F(DuringDelivery, AnInterruptOfAnInstructionHasItsLength) {
    for (const EventType type : {EventType::software_interrupt, EventType::software_exception,
                                 EventType::privileged_software_exception}) {
        vmcs_.write(entry_instruction_length, 0);
        deliver({.vector = 3, .type = static_cast<std::uint32_t>(type), .valid = 1});
        EXPECT_EQ(vmcs_.read(entry_instruction_length), 5U);
    }
}

// [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"]: else the entry fails.
TEST_F(DuringDelivery, AnNmiIsNotBlockedByItself) {
    vmcs_.write(guest_interruptibility_state, Interruptibility::blocking_by_nmi);
    deliver(injected_nmi);
    EXPECT_EQ(injected(), 0x8000'0202U);
    EXPECT_TRUE(vmcs_.read(guest_interruptibility_state).empty());
}

/// An NMI that another processor's VMM has sent, while there are some.
class NmiForTheVmm : public EptExit {
protected:
    NmiForTheVmm() {
        stage_.own_nmis = 1;
        vmcs_.write(exit_interruption_information, injected_nmi);
    }
};

TEST_F(NmiForTheVmm, IsNotTheGuests) {
    EXPECT_TRUE(exit(ExitReason::exception_or_nmi));
    EXPECT_EQ(processor_.pending_nmis, 0U);
    EXPECT_THAT(arch::processor.written, testing::ElementsAre("blocking by NMI"));
    EXPECT_TRUE(exit(ExitReason::exception_or_nmi)) << "the next one is";
    EXPECT_EQ(processor_.pending_nmis, 1U);
}

TEST_F(NmiForTheVmm, IsAskedForAtTheWindowToo) {
    processor_.pending_nmis = 2;
    stage_.own_nmis = 2;
    EXPECT_TRUE(exit(ExitReason::nmi_window));
    EXPECT_EQ(vmcs_.read(entry_interruption_information).valid, 0U) << "neither is the guest's";
    processor_.pending_nmis = 3;
    stage_.own_nmis = 1;
    EXPECT_TRUE(exit(ExitReason::nmi_window));
    EXPECT_TRUE(vmcs_.read(entry_interruption_information).is(EventType::nmi));
    EXPECT_EQ(processor_.pending_nmis, 1U);
}

/// [SDM 3C 28.3.3.3 "Guidelines for Use of the INVVPID Instruction"]
class GuestWithVpid : public EptExit {
protected:
    GuestWithVpid() {
        processor_.physical_address_bits = 40;
        processor_.vpid = 3;
        processor_.invvpid_retains_globals = true;
    }
    bool move_to_cr3(std::uint64_t value) {
        frame_.registers[Register::rax] = value;
        return exit(ExitReason::control_register_access,
                    std::bit_cast<std::uint64_t>(ControlRegisterAccess{.number = 3}));
    }
};

TEST_F(GuestWithVpid, ForgetsAtMovToCr3) {
    EXPECT_TRUE(move_to_cr3(0x5000));
    EXPECT_THAT(arch::processor.written, testing::ElementsAre("INVVPID 3"));
    processor_.vpid = 0;
    EXPECT_TRUE(move_to_cr3(0x5000));
    EXPECT_EQ(arch::processor.written.size(), 1U) << "the entry itself forgets";
}

TEST_F(GuestWithVpid, KeepsWhatTheGuestWantsToKeep) {
    vmcs_.write(guest_cr4, arch::Cr4::process_context_identifiers);
    EXPECT_TRUE(move_to_cr3(1ULL << 63 | 0x5001));
    EXPECT_EQ(vmcs_.read(guest_cr3), 0x5001U);
    EXPECT_THAT(arch::processor.written, testing::IsEmpty());
}

TEST_F(GuestWithVpid, DoesNotGoOnWithOldTranslations) {
    arch::processor.refused["INVVPID"] = arch::VmxResult::fail_valid;
    EXPECT_FALSE(move_to_cr3(0x5000));
}

// ---- Before the launch

class EptSupport : public testing::Test {
protected:
    EptSupport() {
        arch::processor = {};
        arch::processor.cpuid[0x8000'0008].eax = 0x3028;
        // corei7_skylake_x
        arch::processor.msrs = {{Msr::vmx_basic, 0x00D8'1000'0000'002B},
                                {Msr::vmx_procbased_ctls, 0xF7F9'FFFE'0401'E172},
                                {Msr::vmx_true_procbased_ctls, 0xF7F9'FFFE'0400'6172},
                                {Msr::vmx_procbased_ctls2, 0x0217'7FFF'0000'0000},
                                {Msr::vmx_ept_vpid_cap, 0x0F01'0633'4141}};
    }
};

TEST_F(EptSupport, IsThereAndHasLimits) {
    const auto limits = check_ept_support();
    ASSERT_TRUE(limits);
    EXPECT_EQ(limits->physical_address_bits, 40U);
    EXPECT_EQ(limits->capability.execute_only, 1U);
    EXPECT_EQ(limits->capability.pages_1_gb, 1U);
}

// An MSR that is not there raises #GP: it is read only after the one before has promised it.
TEST_F(EptSupport, IsAskedInAnOrderThatCannotFault) {
    arch::processor.msrs.erase(Msr::vmx_ept_vpid_cap);
    arch::processor.msrs[Msr::vmx_procbased_ctls2] = 0x0041'0000'0000;  // core2_penryn_t9600
    EXPECT_STREQ(check_ept_support().error().why->step, "EPT");
    arch::processor.msrs.erase(Msr::vmx_procbased_ctls2);
    arch::processor.msrs[Msr::vmx_procbased_ctls] = 0x77F9'FFFE'0401'E172;
    EXPECT_EQ(check_ept_support().error().kind, FailureKind::not_supported);
}

TEST_F(EptSupport, NamesTheBitThatIsMissing) {
    arch::processor.msrs[Msr::vmx_ept_vpid_cap] &= ~(1ULL << 25);
    const auto limits = check_ept_support();
    ASSERT_FALSE(limits);
    EXPECT_EQ(limits.error().number, 25U);
    EXPECT_STREQ(limits.error().why->rule.section, "A.10");
    EXPECT_THAT(limits.error().why->remedy, testing::HasSubstr("single-context"));
}

TEST_F(EptSupport, TheVmcsGetsControlsAndPointer) {
    auto& fields = arch::processor.vmcs;
    fields[primary_processor_based_controls.encoding] = 0x9400'61F2;
    fields[secondary_processor_based_controls.encoding] = 0;
    fields[ept_pointer.encoding] = 0;
    EXPECT_TRUE(enable_ept(ept::pointer_to(arch::HostPhysicalAddress{0x5000})));
    EXPECT_EQ(fields[primary_processor_based_controls.encoding], 0x9400'61F2U);
    EXPECT_EQ(fields[secondary_processor_based_controls.encoding], 2U);
    EXPECT_EQ(fields[ept_pointer.encoding], 0x501EU);
    fields.erase(ept_pointer.encoding);
    EXPECT_FALSE(enable_ept(ept::pointer_to(arch::HostPhysicalAddress{0x5000})));
}

// [SDM 3C 28.3.3.3 "Guidelines for Use of the INVVPID Instruction"]
TEST_F(EptSupport, AVpidIsForgottenBeforeItIsUsed) {
    auto& fields = arch::processor.vmcs;
    fields[secondary_processor_based_controls.encoding] = 2;
    fields[virtual_processor_identifier.encoding] = 0;
    VirtualProcessor processor{};
    const auto capability = check_ept_support()->capability;
    EXPECT_TRUE(enable_vpid(processor, capability, 3).value());
    EXPECT_EQ(fields[secondary_processor_based_controls.encoding], 0x22U);
    EXPECT_EQ(fields[virtual_processor_identifier.encoding], 3U);
    EXPECT_EQ(processor.vpid, 3U);
    EXPECT_TRUE(processor.invvpid_retains_globals);
    EXPECT_THAT(arch::processor.written, testing::ElementsAre("INVVPID 1"));
    arch::processor.refused["INVVPID"] = arch::VmxResult::fail_invalid;
    EXPECT_FALSE(enable_vpid(processor, capability, 3));
    EXPECT_EQ(processor.vpid, 0U);
    EXPECT_FALSE(enable_vpid(processor, {}, 3).value()) << "one that could not be forgotten";
}

TEST_F(EptSupport, ThePageModificationLogBeginsAtItsEnd) {
    auto& fields = arch::processor.vmcs;
    fields[secondary_processor_based_controls.encoding] = 2;
    fields[pml_address.encoding] = 0;
    fields[guest_pml_index.encoding] = 0;
    VirtualProcessor processor{};
    EXPECT_TRUE(enable_page_modification_log(processor, arch::HostPhysicalAddress{0x7000}).value());
    EXPECT_EQ(fields[secondary_processor_based_controls.encoding], 0x2'0002U);
    EXPECT_EQ(fields[pml_address.encoding], 0x7000U);
    EXPECT_EQ(fields[guest_pml_index.encoding], 511U);
    EXPECT_TRUE(processor.write_log);
    arch::processor.msrs[Msr::vmx_procbased_ctls2] = 0x0005'7FFF'0000'0000;  // broadwell_ult
    EXPECT_FALSE(
        enable_page_modification_log(processor, arch::HostPhysicalAddress{0x7000}).value());
    EXPECT_FALSE(processor.write_log);
}

}  // namespace
}  // namespace hvp::vmx
