// Every exit that the VMM knows, and what the guest sees of it: on a VMCS in memory and a scripted
// processor.
#include "hypervisor/exits/dispatch.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>

#include "tests/unit/vmcs/memory_vmcs.hpp"

namespace hvp::vmx {
namespace {

using arch::Cr0;
using arch::Cr4;
using arch::Msr;
using arch::Rflags;

constexpr std::uint64_t rip = 0xFFFF'F801'0000'1000;

class ExitTest : public testing::Test {
protected:
    ExitTest() {
        arch::processor = {};
        arch::processor.msrs[Msr::efer] = 0xD01;
        frame_.owner = &processor_;
        processor_.ring = &ring_;
        processor_.cr0_ones = arch::Flags<Cr0>{0x8000'0021};
        processor_.cr4_ones = Cr4::vmx_enable;
        processor_.physical_address_bits = 40;
        vmcs_.write(guest_rip, arch::GuestLinearAddress{rip});
        vmcs_.write(guest_rflags, Rflags::always_one);
        vmcs_.write(guest_cr0, arch::Flags<Cr0>{0x8005'0033});
        vmcs_.write(guest_cs_rights, {.long_mode = 1});
    }

    /// Lets the exit happen. Returns whether the guest goes on.
    bool exit(ExitReason reason, std::uint32_t length = 2, std::uint64_t qualification = 0) {
        vmcs_.write(exit_reason, {.basic_reason = number_of(reason)});
        vmcs_.write(exit_instruction_length, length);
        vmcs_.write(exit_qualification, qualification);
        vmcs_.write(entry_interruption_information, {});
        return dispatch_exit(vmcs_, frame_);
    }
    [[nodiscard]] std::uint64_t moved() const { return vmcs_.read(guest_rip).raw() - rip; }
    [[nodiscard]] InterruptionInformation injected() const {
        return vmcs_.read(entry_interruption_information);
    }
    void expect_fault(Vector vector) {
        EXPECT_EQ(moved(), 0U) << "a fault leaves RIP at the instruction";
        EXPECT_TRUE(injected().is(EventType::hardware_exception));
        EXPECT_EQ(injected().vector, static_cast<std::uint32_t>(vector));
        EXPECT_TRUE(vmcs_.read(guest_rflags).has(Rflags::resume));
    }

    MemoryVmcs vmcs_{};
    VmmFrame frame_{};
    GuestRegisters& registers_ = frame_.registers;
    VirtualProcessor processor_{};
    trace::Ring ring_{};
};

TEST_F(ExitTest, TheGuestGoesOnBehindItsHlt) {
    EXPECT_TRUE(exit(ExitReason::hlt, 1));
    EXPECT_EQ(moved(), 1U);
    EXPECT_EQ(processor_.exits[ExitReason::hlt], 1U);
}

TEST_F(ExitTest, SteppingOverEndsTheBlockingBySti) {
    vmcs_.write(guest_interruptibility_state,
                Interruptibility::blocking_by_sti | arch::Flags{Interruptibility::blocking_by_nmi});
    EXPECT_TRUE(exit(ExitReason::hlt, 1));
    EXPECT_EQ(vmcs_.read(guest_interruptibility_state), Interruptibility::blocking_by_nmi);
}

TEST_F(ExitTest, SteppingOverEndsTheBlockingByMovSs) {
    vmcs_.write(guest_interruptibility_state, Interruptibility::blocking_by_mov_ss);
    EXPECT_TRUE(exit(ExitReason::hlt, 1));
    EXPECT_TRUE(vmcs_.read(guest_interruptibility_state).empty());
}

TEST_F(ExitTest, ASingleStepSeesTheInstructionThatWasSteppedOver) {
    vmcs_.write(guest_rflags, arch::Flags{Rflags::always_one} | Rflags::trap);
    vmcs_.write(guest_pending_debug_exceptions, arch::Flags<PendingDebug>{1});
    EXPECT_TRUE(exit(ExitReason::hlt, 1));
    EXPECT_EQ(vmcs_.read(guest_pending_debug_exceptions).raw(), 0x4001U) << "what waited stays";
}

TEST_F(ExitTest, StepsOverBranchesOnlyAreNotTaken) {
    vmcs_.write(guest_rflags, arch::Flags{Rflags::always_one} | Rflags::trap);
    vmcs_.write(guest_debugctl, arch::DebugControl::branch_trap);
    EXPECT_TRUE(exit(ExitReason::hlt, 1));
    EXPECT_TRUE(vmcs_.read(guest_pending_debug_exceptions).empty());
}

TEST_F(ExitTest, In32BitCodeRipWrapsAt4GiB) {
    vmcs_.write(guest_cs_rights, {});
    vmcs_.write(guest_rip, arch::GuestLinearAddress{0xFFFF'FFFF});
    EXPECT_TRUE(exit(ExitReason::cpuid, 2));
    EXPECT_EQ(vmcs_.read(guest_rip).raw(), 1U);
}

TEST_F(ExitTest, AnUnknownReasonEndsTheGuestAndIsNamed) {
    EXPECT_FALSE(exit(ExitReason::apic_access, 2, 0x181));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::unhandled_exit);
    EXPECT_EQ(processor_.guest_stop.reason.basic(), ExitReason::apic_access);
    EXPECT_EQ(processor_.guest_stop.qualification, 0x181U);
    EXPECT_EQ(processor_.guest_stop.guest_rip, rip);
    EXPECT_EQ(moved(), 0U);
}

TEST_F(ExitTest, AReasonBeyondTheTableEndsTheGuest) {
    EXPECT_FALSE(exit(ExitReason{0xFFFF}));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::unhandled_exit);
}

TEST_F(ExitTest, ATripleFaultEndsTheGuest) {
    EXPECT_FALSE(exit(ExitReason::triple_fault));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::triple_fault);
}

TEST_F(ExitTest, AFailedEntryIsNoExit) {
    vmcs_.write(exit_reason,
                {.basic_reason = number_of(ExitReason::invalid_guest_state), .entry_failure = 1});
    EXPECT_FALSE(dispatch_exit(vmcs_, frame_));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::entry_failed);
    EXPECT_EQ(processor_.exits[ExitReason::invalid_guest_state], 0U);
}

// ---- CPUID

TEST_F(ExitTest, CpuidNamesTheVmm) {
    registers_[Register::rax] = 0xFFFF'FFFF'4000'0000;
    EXPECT_TRUE(exit(ExitReason::cpuid));
    EXPECT_EQ(registers_[Register::rax], 0x4000'0001U) << "the upper half is cleared";
    std::array<char, 13> name{};
    for (std::size_t i = 0; i < 4; ++i) {
        name[i] = static_cast<char>(registers_[Register::rbx] >> 8 * i);
        name[4 + i] = static_cast<char>(registers_[Register::rcx] >> 8 * i);
        name[8 + i] = static_cast<char>(registers_[Register::rdx] >> 8 * i);
    }
    EXPECT_STREQ(name.data(), "HVPlayground");
}

TEST_F(ExitTest, CpuidDoesNotClaimToBeMicrosofts) {
    registers_[Register::rax] = 0x4000'0001;
    EXPECT_TRUE(exit(ExitReason::cpuid));
    EXPECT_NE(registers_[Register::rax], 0x3123'7648U);  // "Hv#1"
    registers_[Register::rax] = 0x4000'00FF;
    EXPECT_TRUE(exit(ExitReason::cpuid));
    EXPECT_EQ(registers_[Register::rax], 0U);
}

TEST_F(ExitTest, CpuidHidesVmxAndMirrorsTheGuestsOsxsave) {
    arch::processor.cpuid[1] = {.eax = 1, .ebx = 2, .ecx = 1U << 5 | 1U << 27 | 4, .edx = 3};
    registers_[Register::rax] = 1;
    EXPECT_TRUE(exit(ExitReason::cpuid));
    EXPECT_EQ(registers_[Register::rcx], 4U | 1U << 31) << "the host's OSXSAVE is not the guest's";
    vmcs_.write(guest_cr4, Cr4::os_xsave);
    registers_[Register::rax] = 1;
    EXPECT_TRUE(exit(ExitReason::cpuid));
    EXPECT_EQ(registers_[Register::rcx], 4U | 1U << 31 | 1U << 27);
}

// ---- MSRs

TEST_F(ExitTest, FirmwareSeemsToHaveLockedVmxOff) {
    registers_[Register::rcx] = 0x3A;
    registers_[Register::rdx] = ~0ULL;
    EXPECT_TRUE(exit(ExitReason::rdmsr));
    EXPECT_EQ(registers_[Register::rax], 1U);
    EXPECT_EQ(registers_[Register::rdx], 0U);
    EXPECT_EQ(moved(), 2U);
}

TEST_F(ExitTest, ABadMsrIsTheGuestsProblem) {
    for (const std::uint32_t msr : {0x480U, 0x491U, 0x1234'5678U, 0xFFFF'FFFFU}) {
        registers_[Register::rcx] = msr;
        EXPECT_TRUE(exit(ExitReason::rdmsr));
        expect_fault(Vector::general_protection);
        EXPECT_TRUE(exit(ExitReason::wrmsr));
        expect_fault(Vector::general_protection);
    }
    EXPECT_EQ(injected().has_error_code, 1U);
}

TEST_F(ExitTest, EferKeepsWhatTheVmmNeeds) {
    registers_[Register::rcx] = 0xC000'0080;
    registers_.set_edx_eax(0xD00);  // without SCE: allowed
    EXPECT_TRUE(exit(ExitReason::wrmsr));
    EXPECT_EQ(moved(), 2U);
    EXPECT_EQ(arch::processor.msrs[Msr::efer], 0xD00U);
    vmcs_.write(guest_rip, arch::GuestLinearAddress{rip});
    registers_.set_edx_eax(0x500);  // without NXE: our page tables need it
    EXPECT_TRUE(exit(ExitReason::wrmsr));
    expect_fault(Vector::general_protection);
    EXPECT_EQ(arch::processor.msrs[Msr::efer], 0xD00U);
}

TEST(MsrBitmap, HasOneBitForEachAccess) {
    EXPECT_EQ(msr_bitmap_bit(0, MsrAccess::read), 0U);
    EXPECT_EQ(msr_bitmap_bit(0x1FFF, MsrAccess::read), 0x1FFFU);
    EXPECT_EQ(msr_bitmap_bit(0xC000'0000, MsrAccess::read), 8U * 1024);
    EXPECT_EQ(msr_bitmap_bit(0, MsrAccess::write), 8U * 2048);
    EXPECT_EQ(msr_bitmap_bit(0xC000'1FFF, MsrAccess::write), 8U * 4096 - 1);
    EXPECT_FALSE(msr_bitmap_bit(0x2000, MsrAccess::read));
    EXPECT_FALSE(msr_bitmap_bit(0xC000'2000, MsrAccess::write));
    std::array<std::byte, 4096> bitmap{};
    fill_msr_bitmap(bitmap);
    EXPECT_EQ(bitmap[0x3A / 8], std::byte{1 << 0x3A % 8});
    for (std::uint32_t msr = 0x480; msr <= 0x491; ++msr) {
        EXPECT_NE(bitmap[msr / 8] >> msr % 8 & std::byte{1}, std::byte{}) << msr;
        EXPECT_NE(bitmap[2048 + msr / 8] >> msr % 8 & std::byte{1}, std::byte{}) << msr;
    }
    EXPECT_EQ(bitmap[3072 + 0x80 / 8], std::byte{1}) << "writes of EFER";
    EXPECT_EQ(bitmap[1024 + 0x80 / 8], std::byte{0}) << "reads of EFER go through";
}

// ---- Control registers

constexpr std::uint64_t access(std::uint64_t number, std::uint64_t type, Register which) {
    return number | type << 4 | static_cast<std::uint64_t>(which) << 8;
}

TEST_F(ExitTest, Cr3IsReadIntoAnyRegister) {
    vmcs_.write(guest_cr3, 0x1'2345'6000);
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(3, 1, Register::r13)));
    EXPECT_EQ(registers_[Register::r13], 0x1'2345'6000U);
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(3, 1, Register::rsp)));
    EXPECT_EQ(vmcs_.read(guest_rsp).raw(), 0x1'2345'6000U) << "RSP is in the VMCS";
}

TEST_F(ExitTest, Cr3IsWrittenWithoutTheBitThatIsNotStored) {
    registers_[Register::rdi] = 1ULL << 63 | 0x5000;
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(3, 0, Register::rdi)));
    expect_fault(Vector::general_protection);  // without PCIDs the bit is reserved
    vmcs_.write(guest_cr4, Cr4::process_context_identifiers);
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(3, 0, Register::rdi)));
    EXPECT_EQ(vmcs_.read(guest_cr3), 0x5000U);
    vmcs_.write(guest_rsp, arch::GuestLinearAddress{0x7000});
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(3, 0, Register::rsp)));
    EXPECT_EQ(vmcs_.read(guest_cr3), 0x7000U);
}

TEST_F(ExitTest, Cr3BeyondThePhysicalAddressesIsRefused) {
    registers_[Register::rax] = 1ULL << 40;
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(3, 0, Register::rax)));
    expect_fault(Vector::general_protection);
}

TEST_F(ExitTest, Cr0IsAsTheGuestWantsAndAsVmxNeeds) {
    registers_[Register::rax] = 0x8005'0013;  // NE off
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(0, 0, Register::rax)));
    EXPECT_EQ(vmcs_.read(guest_cr0).raw(), 0x8005'0033U);
    EXPECT_EQ(vmcs_.read(cr0_read_shadow).raw(), 0x8005'0013U);
    for (const std::uint64_t bad :
         {0x0005'0033ULL, 0x8005'0032ULL, 0xA005'0033ULL, 0x1'8005'0033ULL}) {
        vmcs_.write(guest_rip, arch::GuestLinearAddress{rip});
        registers_[Register::rax] = bad;
        EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(0, 0, Register::rax)));
        expect_fault(Vector::general_protection);
    }
}

// [SDM 3C 27.1 "Architectural State Before a VM Exit"]: what lies above bit 31 is from before.
TEST_F(ExitTest, Outside64BitModeARegisterHas32Bits) {
    vmcs_.write(guest_cs_rights, {});
    registers_[Register::rdi] = 0xFFFF'FFFF'0000'5000;
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(3, 0, Register::rdi)));
    EXPECT_EQ(vmcs_.read(guest_cr3), 0x5000U);
    registers_[Register::rdi] = 0xFFFF'FFFF'8005'0013;
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(0, 0, Register::rdi)));
    EXPECT_EQ(vmcs_.read(cr0_read_shadow).raw(), 0x8005'0013U);
}

// ---- Unrestricted guests: [SDM 3C 25.6 "Unrestricted Guests"]

class UnrestrictedGuest : public ExitTest {
protected:
    UnrestrictedGuest() {
        processor_.unrestricted = true;
        vmcs_.write(guest_efer, arch::Flags<arch::Efer>{0xD01});
        vmcs_.write(host_efer, arch::Flags<arch::Efer>{0xD01});
        vmcs_.write(guest_cr4, Cr4::physical_address_extension);
        vmcs_.write(guest_rip, arch::GuestLinearAddress{rip});
    }
    void leave_paging() {
        vmcs_.write(guest_cr0, arch::Flags<Cr0>{0x5'0033});
        vmcs_.write(guest_efer, arch::Flags<arch::Efer>{0x901});
        vmcs_.write(guest_cs_rights, {});
    }
    /// WRMSR. Returns what IA32_EFER is then.
    std::uint64_t write_efer(std::uint64_t value) {
        vmcs_.write(guest_rip, arch::GuestLinearAddress{rip});
        registers_[Register::rcx] = 0xC000'0080;
        registers_.set_edx_eax(value);
        EXPECT_TRUE(exit(ExitReason::wrmsr));
        EXPECT_EQ(arch::processor.msrs[Msr::efer], 0xD01U) << "the host's is not the guest's";
        return vmcs_.read(guest_efer).raw();
    }
};

TEST_F(UnrestrictedGuest, CannotLeaveLongModeWhileItHasPaging) {
    EXPECT_EQ(write_efer(0x401), 0xD01U);
    expect_fault(Vector::general_protection);
    EXPECT_EQ(write_efer(0x501), 0x501U) << "NXE is its own";
    EXPECT_EQ(moved(), 2U);
}

TEST_F(UnrestrictedGuest, WritesEferWithoutPagingButNotLma) {
    leave_paging();
    EXPECT_EQ(write_efer(0x401), 0x001U);
    EXPECT_EQ(moved(), 2U);
    EXPECT_EQ(write_efer(0x501), 0x101U);
    EXPECT_EQ(write_efer(0x1101), 0x101U) << "a bit that Windows has not set";
    expect_fault(Vector::general_protection);
}

TEST_F(UnrestrictedGuest, KeepsItsModeWhenItWritesCr0) {
    leave_paging();
    registers_[Register::rax] = 0x5'0013;  // NE off
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(0, 0, Register::rax)));
    EXPECT_EQ(vmcs_.read(guest_cr0).raw(), 0x5'0033U) << "NE is VMX's, paging is not";
    registers_[Register::rax] = 0x5'0012;  // NE off, and real mode
    EXPECT_FALSE(exit(ExitReason::control_register_access, 3, access(0, 0, Register::rax)));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::unhandled_detail);
}

TEST_F(UnrestrictedGuest, DoesNotGetPaePagingByHalves) {
    leave_paging();
    registers_[Register::rax] = 0x5000;
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(3, 0, Register::rax)));
    EXPECT_EQ(vmcs_.read(guest_cr3), 0x5000U);
    vmcs_.write(guest_cr0, arch::Flags<Cr0>{0x8005'0033});
    EXPECT_FALSE(exit(ExitReason::control_register_access, 3, access(3, 0, Register::rax)));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::unhandled_detail);
}

TEST_F(ExitTest, ThereIsNoVmxForTheGuest) {
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(4, 0, Register::rax)));
    expect_fault(Vector::general_protection);
}

TEST_F(ExitTest, OtherFormsEndTheGuest) {
    EXPECT_FALSE(
        exit(ExitReason::control_register_access, 3, access(0, 3, Register::rax)));  // LMSW
    EXPECT_EQ(processor_.guest_stop.why, StopReason::unhandled_detail);
    EXPECT_FALSE(exit(ExitReason::control_register_access, 3, access(8, 0, Register::rax)));
}

// ---- VMCALL

TEST_F(ExitTest, VmcallAnswers) {
    registers_[Register::rax] = static_cast<std::uint64_t>(Hypercall::ping);
    registers_[Register::rcx] = 6;
    EXPECT_TRUE(exit(ExitReason::vmcall, 3));
    EXPECT_EQ(registers_[Register::rax], 0U);
    EXPECT_EQ(registers_[Register::rdx], 7U);
    EXPECT_EQ(moved(), 3U);
    registers_[Register::rax] = static_cast<std::uint64_t>(Hypercall::exit_count);
    registers_[Register::rcx] = number_of(ExitReason::vmcall);
    EXPECT_TRUE(exit(ExitReason::vmcall, 3));
    EXPECT_EQ(registers_[Register::rdx], 2U);
    registers_[Register::rax] = static_cast<std::uint64_t>(Hypercall::exit_count);
    registers_[Register::rcx] = 69;
    EXPECT_TRUE(exit(ExitReason::vmcall, 3));
    EXPECT_EQ(registers_[Register::rax], static_cast<std::uint64_t>(HypercallStatus::bad_argument));
}

TEST_F(ExitTest, AVmcallInOurRangeThatIsNoCallIsSaidToBeUnknown) {
    registers_[Register::rax] = first_call_of_stage;
    EXPECT_TRUE(exit(ExitReason::vmcall, 3));
    EXPECT_EQ(registers_[Register::rax], static_cast<std::uint64_t>(HypercallStatus::unknown_call));
}

TEST_F(ExitTest, AVmcallThatIsNotForUsIsAnInvalidOpcode) {
    for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{0x4856'4FFF},
                                       std::uint64_t{0x4856'6000}, std::uint64_t{0x1'4856'5000}}) {
        registers_[Register::rax] = number;
        EXPECT_TRUE(exit(ExitReason::vmcall, 3));
        expect_fault(Vector::invalid_opcode);
        EXPECT_EQ(registers_[Register::rax], number);
    }
}

TEST_F(ExitTest, VmcallFromUserModeIsAnInvalidOpcode) {
    vmcs_.write(guest_ss_rights, {.privilege_level = 3});
    registers_[Register::rax] = static_cast<std::uint64_t>(Hypercall::stop);
    EXPECT_TRUE(exit(ExitReason::vmcall, 3));
    expect_fault(Vector::invalid_opcode);
    EXPECT_EQ(injected().has_error_code, 0U);
}

// [SDM 3C 30.3 "VMX Instructions"]: outside VMX operation they are invalid opcodes, whatever the
// mode and the privilege level.
TEST_F(ExitTest, VmxInstructionsAreInvalidOpcodes) {
    std::size_t exits = 0;
    for (const VmxInstruction& instruction : vmx_instructions) {
        if (!instruction.exits) {
            continue;
        }
        SCOPED_TRACE(exit_reason_name(instruction.reason));
        for (const std::uint32_t privilege_level : {0U, 3U}) {
            for (const std::uint32_t long_mode : {1U, 0U}) {
                vmcs_.write(guest_rflags, Rflags::always_one);
                vmcs_.write(guest_ss_rights, {.privilege_level = privilege_level});
                vmcs_.write(guest_cs_rights, {.long_mode = long_mode});
                EXPECT_TRUE(exit(instruction.reason, 3));
                expect_fault(instruction.event);
                EXPECT_EQ(injected().has_error_code, 0U);
                ++exits;
            }
        }
    }
    EXPECT_EQ(exits, 12U * 4);
}

TEST_F(ExitTest, TheGuestCanEndItself) {
    registers_[Register::rax] = static_cast<std::uint64_t>(Hypercall::stop);
    EXPECT_FALSE(exit(ExitReason::vmcall, 3));
    EXPECT_EQ(processor_.guest_stop.why, StopReason::stopped_by_guest);
}

// ---- NMIs

constexpr InterruptionInformation nmi_came{.vector = 2, .type = 2, .valid = 1};

TEST_F(ExitTest, AnNmiWaitsForItsWindowAndIsInjected) {
    vmcs_.write(exit_interruption_information, nmi_came);
    arch::processor.write("blocking by NMI", 1);
    EXPECT_TRUE(exit(ExitReason::exception_or_nmi));
    EXPECT_EQ(arch::processor.read("blocking by NMI"), 0U);
    EXPECT_TRUE(
        vmcs_.read(primary_processor_based_controls).has(PrimaryControl::nmi_window_exiting));
    EXPECT_TRUE(exit(ExitReason::nmi_window));
    EXPECT_TRUE(injected().is(EventType::nmi));
    EXPECT_EQ(injected().vector, 2U);
    EXPECT_TRUE(vmcs_.read(primary_processor_based_controls).empty());
    EXPECT_EQ(processor_.pending_nmis, 0U);
    EXPECT_EQ(moved(), 0U);
}

TEST_F(ExitTest, EveryNmiIsInjected) {
    processor_.pending_nmis = 2;
    EXPECT_TRUE(exit(ExitReason::nmi_window));
    EXPECT_TRUE(
        vmcs_.read(primary_processor_based_controls).has(PrimaryControl::nmi_window_exiting));
    EXPECT_TRUE(exit(ExitReason::nmi_window));
    EXPECT_TRUE(injected().is(EventType::nmi));
    EXPECT_TRUE(exit(ExitReason::nmi_window));
    EXPECT_EQ(injected().valid, 0U) << "there is none left";
}

// [SDM 3C 26.6.3 "Delivery of Pending Debug Exceptions after VM Entry"]: an entry that injects an
// NMI forgets them.
TEST_F(ExitTest, AnNmiWaitsForADebugException) {
    processor_.pending_nmis = 1;
    vmcs_.write(guest_pending_debug_exceptions, PendingDebug::single_step);
    EXPECT_TRUE(exit(ExitReason::nmi_window));
    EXPECT_EQ(injected().valid, 0U);
    EXPECT_EQ(processor_.pending_nmis, 1U);
    EXPECT_TRUE(
        vmcs_.read(primary_processor_based_controls).has(PrimaryControl::nmi_window_exiting));
}

// A processor that does not hold NMIs back during blocking by STI would open the same window for
// ever.
TEST_F(ExitTest, AnNmiWhoseWindowOpensDuringBlockingByStiEndsIt) {
    processor_.pending_nmis = 1;
    vmcs_.write(guest_interruptibility_state, Interruptibility::blocking_by_sti);
    EXPECT_TRUE(exit(ExitReason::nmi_window));
    EXPECT_TRUE(injected().is(EventType::nmi));
    EXPECT_TRUE(vmcs_.read(guest_interruptibility_state).empty());
}

// ---- The trace

TEST_F(ExitTest, EveryExitIsTraced) {
    processor_.tracing = true;
    registers_[Register::rcx] = 0x480;
    registers_[Register::r15] = 5;
    const std::uint64_t sum = registers_.sum();
    EXPECT_TRUE(exit(ExitReason::rdmsr, 2, 9));
    trace::ExitEvent event{};
    ASSERT_TRUE(ring_.read(event));
    EXPECT_EQ(event.reason, number_of(ExitReason::rdmsr));
    EXPECT_EQ(event.qualification, 9U);
    EXPECT_EQ(event.guest_rip, rip);
    EXPECT_EQ(event.detail, 0x480U);
    EXPECT_EQ(event.registers, sum);
    EXPECT_EQ(event.injected, 0x8000'0B0DU);
    EXPECT_EQ(event.instruction_length, 2U);
    EXPECT_FALSE(ring_.read(event));
}

// What the reason and the qualification leave open: which leaf, call, MSR, event, value. RSP is not
// among the registers of the frame.
TEST_F(ExitTest, TheTraceTellsWhatAnExitWasAbout) {
    processor_.tracing = true;
    vmcs_.write(guest_rsp, arch::GuestLinearAddress{0x5000});
    vmcs_.write(exit_interruption_information, injected_nmi);
    const auto detail = [this](ExitReason reason, std::uint64_t qualification = 0) {
        registers_[Register::rax] = 0x1'0000'0007;
        registers_[Register::rbx] = 0x3000;
        static_cast<void>(exit(reason, 2, qualification));
        trace::ExitEvent event{};
        EXPECT_TRUE(ring_.read(event));
        return event.detail;
    };
    EXPECT_EQ(detail(ExitReason::exception_or_nmi), 0x8000'0202U);
    EXPECT_EQ(detail(ExitReason::cpuid), 7U) << "a leaf has 32 bits";
    EXPECT_EQ(detail(ExitReason::vmcall), 0x1'0000'0007U);
    EXPECT_EQ(detail(ExitReason::control_register_access, 0x303), 0x3000U) << "MOV CR3, RBX";
    EXPECT_EQ(detail(ExitReason::control_register_access, 0x403), 0x5000U) << "MOV CR3, RSP";
    EXPECT_EQ(detail(ExitReason::triple_fault), 0U);
}

TEST(ExitTable, KnowsForWhichReasonsTheLengthIsDefined) {
    using enum ExitReason;
    for (const ExitReason reason :
         {exception_or_nmi, external_interrupt, triple_fault, interrupt_window, nmi_window,
          task_switch, invalid_guest_state, monitor_trap_flag, machine_check_event,
          tpr_below_threshold, ept_violation, ept_misconfiguration, preemption_timer}) {
        EXPECT_FALSE(has_instruction_length(reason)) << exit_reason_name(reason);
    }
    for (const ExitReason reason :
         {cpuid, hlt, vmcall, control_register_access, rdmsr, wrmsr, xsetbv}) {
        EXPECT_TRUE(has_instruction_length(reason)) << exit_reason_name(reason);
    }
}

}  // namespace
}  // namespace hvp::vmx
