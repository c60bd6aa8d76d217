// CPUID, MSRs, VMCALL, the VMX instructions and NMIs, as the guest finds them.
#include "tests/unit/exits/exit_test.hpp"

namespace hvp::vmx {
namespace {

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

// Subleaf 1 has other features at the bit of OSPKE.
TEST_F(ExitTest, CpuidMirrorsTheGuestsOspkeInSubleaf0Alone) {
    arch::processor.cpuid[7] = {.eax = 1, .ebx = 0, .ecx = 1U << 4 | 1, .edx = 0};
    for (const std::uint64_t subleaf : {0U, 1U}) {
        registers_[Register::rax] = 7;
        registers_[Register::rcx] = subleaf;
        EXPECT_TRUE(exit(ExitReason::cpuid));
        EXPECT_EQ(registers_[Register::rcx], subleaf == 0 ? 1U : 0x11U);
    }
    vmcs_.write(guest_cr4, Cr4::protection_keys);
    registers_[Register::rax] = 7;
    registers_[Register::rcx] = 0;
    EXPECT_TRUE(exit(ExitReason::cpuid));
    EXPECT_EQ(registers_[Register::rcx], 0x11U);
}

/// An instruction, where CPUID tells of it, and the secondary control that gives it to a guest.
struct Told {
    const char* name;
    std::uint32_t leaf;
    std::uint32_t subleaf;
    Register answer;
    std::uint32_t bit;
    std::uint32_t control;
};
constexpr std::array told{
    Told{"RDTSCP", 0x8000'0001, 0, Register::rdx, 27, 1U << 3},
    Told{"RDPID", 7, 0, Register::rcx, 22, 1U << 3},
    Told{"INVPCID", 7, 0, Register::rbx, 10, 1U << 12},
    Told{"XSAVES", 0xD, 1, Register::rax, 3, 1U << 20},
    Told{"TPAUSE", 7, 0, Register::rcx, 5, 1U << 26},
    Told{"PCONFIG", 7, 0, Register::rdx, 18, 1U << 27},
};

// [SDM 3C 25.3 "Changes to Instruction Behavior in VMX Non-Root Operation"]: #UD without the control.
TEST_F(ExitTest, CpuidTellsOfNoInstructionThatTheGuestLacks) {
    const auto bit_of = [&](const Told& some, std::uint32_t subleaf) {
        arch::processor.cpuid[some.leaf] = {.eax = ~0U, .ebx = ~0U, .ecx = ~0U, .edx = ~0U};
        registers_[Register::rax] = some.leaf;
        registers_[Register::rcx] = subleaf;
        EXPECT_TRUE(exit(ExitReason::cpuid));
        return registers_[some.answer] >> some.bit & 1;
    };
    for (const Told& some : told) {
        vmcs_.write(primary_processor_based_controls, PrimaryControl::activate_secondary_controls);
        vmcs_.write(secondary_processor_based_controls,
                    arch::Flags<SecondaryControl>{some.control});
        EXPECT_EQ(bit_of(some, some.subleaf), 1U) << some.name;
        vmcs_.write(secondary_processor_based_controls,
                    arch::Flags<SecondaryControl>{~some.control});
        EXPECT_EQ(bit_of(some, some.subleaf), 0U) << some.name;
        // Without bit 31 of the primary controls the secondary ones are as if they were 0.
        vmcs_.write(primary_processor_based_controls, {});
        vmcs_.write(secondary_processor_based_controls,
                    arch::Flags<SecondaryControl>{some.control});
        EXPECT_EQ(bit_of(some, some.subleaf), 0U) << some.name;
        if (some.leaf == 7 || some.leaf == 0xD) {
            EXPECT_EQ(bit_of(some, 2), 1U) << some.name << ": another subleaf";
        }
    }
    // RDMSRLIST and WRMSRLIST need a tertiary control, which no guest of ours has.
    EXPECT_EQ(bit_of({"RDMSRLIST", 7, 1, Register::rax, 27, 0}, 1), 0U);
}

constexpr std::array<CpuidPolicy, 0> no_policies{};

TEST(CpuidPolicies, ATableWithoutRowsChangesTheVmmsLeavesAlone) {
    for (const std::uint32_t leaf : {0U, 1U, 32U, 0x3FFF'FFFFU, 0x4000'0100U, 0xFFFF'FFFFU}) {
        EXPECT_FALSE(may_differ<no_policies>(leaf)) << leaf;
    }
    EXPECT_TRUE(may_differ<no_policies>(0x4000'0000));
    EXPECT_TRUE(may_differ<cpuid_policies>(1));
    EXPECT_FALSE(may_differ<cpuid_policies>(0));
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
    for (const std::uint32_t msr :
         {0x480U, 0x491U, 0x492U, 0x493U, 0x497U, 0x1234'5678U, 0xFFFF'FFFFU}) {
        registers_[Register::rcx] = msr;
        registers_[Register::rax] = ~0ULL;
        EXPECT_TRUE(exit(ExitReason::rdmsr));
        expect_fault(Vector::general_protection);
        EXPECT_EQ(registers_[Register::rax], ~0ULL) << "a fault has changed nothing";
        EXPECT_TRUE(exit(ExitReason::wrmsr));
        expect_fault(Vector::general_protection);
    }
    EXPECT_EQ(injected().has_error_code, 1U);
}

// A hypervisor below may have it. Only the processor knows, and may say no.
TEST_F(ExitTest, AnMsrWithoutABitIsTheProcessorsToRefuse) {
    constexpr std::uint32_t msr = 0x4000'0020;
    arch::processor.msrs[static_cast<Msr>(msr)] = 5;
    registers_[Register::rcx] = msr;
    EXPECT_TRUE(exit(ExitReason::rdmsr));
    EXPECT_EQ(registers_[Register::rax], 5U);
    EXPECT_EQ(moved(), 2U);
    registers_.set_edx_eax(0x7'0000'0006);
    EXPECT_TRUE(exit(ExitReason::wrmsr));
    EXPECT_EQ(arch::processor.msrs[static_cast<Msr>(msr)], 0x7'0000'0006U);
    vmcs_.write(guest_rip, arch::GuestLinearAddress{rip});
    arch::processor.gp_for.insert("WRMSR");
    EXPECT_TRUE(exit(ExitReason::wrmsr));
    expect_fault(Vector::general_protection);
}

TEST_F(ExitTest, EferIsTheProcessorsToRefuse) {
    registers_[Register::rcx] = 0xC000'0080;
    registers_.set_edx_eax(0xD00);
    arch::processor.gp_for.insert("WRMSR");
    EXPECT_TRUE(exit(ExitReason::wrmsr));
    expect_fault(Vector::general_protection);
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
    fill_msr_bitmap(bitmap, msr_policies);
    EXPECT_EQ(bitmap[0x3A / 8], std::byte{1 << 0x3A % 8});
    for (std::uint32_t msr = 0x480; msr <= 0x497; ++msr) {
        EXPECT_NE(bitmap[msr / 8] >> msr % 8 & std::byte{1}, std::byte{}) << msr;
        EXPECT_NE(bitmap[2048 + msr / 8] >> msr % 8 & std::byte{1}, std::byte{}) << msr;
    }
    EXPECT_EQ(bitmap[3072 + 0x80 / 8], std::byte{1}) << "writes of EFER";
    EXPECT_EQ(bitmap[1024 + 0x80 / 8], std::byte{0}) << "reads of EFER go through";
}

// MSR 0 is another one, and a machine check's: an exit for it would end a guest that may read it.
TEST(MsrBitmap, HasNoBitForAnMsrOutsideTheRanges) {
    constexpr std::array outside{MsrPolicies{
        .first = static_cast<Msr>(0x4000'0070), .read_exits = true, .write_exits = true}};
    std::array<std::byte, 4096> bitmap{};
    fill_msr_bitmap(bitmap, outside);
    EXPECT_EQ(bitmap, (std::array<std::byte, 4096>{}));
}

// ---- XSETBV, INVD

// [SDM 3A 2.6 "Extended Control Registers (Including XCR0)"]
TEST(Xcr0, ItsStatesDependOnOneAnother) {
    constexpr std::uint64_t all = 0x6'02FF;
    for (const std::uint64_t value :
         {0x1ULL, 0x3ULL, 0x7ULL, 0x1BULL, 0xE7ULL, 0xFFULL, 0x201ULL, 0x6'0003ULL, 0x6'02FFULL}) {
        EXPECT_TRUE(valid_xcr0(value, all)) << value;
    }
    for (const std::uint64_t value : {0x0ULL, 0x2ULL, 0x5ULL, 0x9ULL, 0x11ULL, 0x27ULL, 0x47ULL,
                                      0xA7ULL, 0x67ULL, 0xE3ULL, 0x2'0003ULL, 0x4'0003ULL}) {
        EXPECT_FALSE(valid_xcr0(value, all)) << value;
    }
    EXPECT_TRUE(valid_xcr0(0x3, 0x3));
    EXPECT_FALSE(valid_xcr0(0x7, 0x3)) << "the processor has no AVX";
    EXPECT_FALSE(valid_xcr0(1ULL << 63 | 3, 0x7));
}

TEST_F(ExitTest, XsetbvReachesTheProcessorsRegister) {
    arch::processor.cpuid[0x0D] = {.eax = 0x7, .ebx = 0, .ecx = 0, .edx = 0};
    registers_[Register::rcx] = 0xFFFF'FFFF'0000'0000;
    registers_.set_edx_eax(7);
    EXPECT_TRUE(exit(ExitReason::xsetbv, 3));
    EXPECT_EQ(moved(), 3U);
    EXPECT_EQ(arch::processor.registers["XCR0"], 7U);
}

TEST_F(ExitTest, AnXsetbvThatTheProcessorWouldRefuseIsTheGuestsFault) {
    arch::processor.cpuid[0x0D] = {.eax = 0x7, .ebx = 0, .ecx = 0, .edx = 0};
    registers_.set_edx_eax(5);  // AVX without SSE
    EXPECT_TRUE(exit(ExitReason::xsetbv, 3));
    expect_fault(Vector::general_protection);
    registers_.set_edx_eax(7);
    registers_[Register::rcx] = 1;
    EXPECT_TRUE(exit(ExitReason::xsetbv, 3));
    expect_fault(Vector::general_protection);
    registers_[Register::rcx] = 0;
    vmcs_.write(guest_ss_rights, {.privilege_level = 3});
    EXPECT_TRUE(exit(ExitReason::xsetbv, 3));
    expect_fault(Vector::general_protection);
    vmcs_.write(guest_ss_rights, {});
    arch::processor.gp_for.insert("XSETBV");  // for a reason that we do not know
    EXPECT_TRUE(exit(ExitReason::xsetbv, 3));
    expect_fault(Vector::general_protection);
    EXPECT_FALSE(arch::processor.registers.contains("XCR0"));
}

TEST_F(ExitTest, InvdLosesNothing) {
    EXPECT_TRUE(exit(ExitReason::invd));
    EXPECT_EQ(moved(), 2U);
    EXPECT_EQ(arch::processor.written, std::vector<std::string>{"WBINVD"});
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
                expect_fault(Vector::invalid_opcode);
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

// One that came to the VMM while the entry had something else to deliver: see host_traps.cpp.
TEST_F(ExitTest, AMachineCheckIsLookedAtOnceMoreInTheWindow) {
    arch::processor.vmcs[entry_interruption_information.encoding] = 0;
    processor_.machine_check = true;
    EXPECT_TRUE(exit(ExitReason::nmi_window));
    EXPECT_EQ(injected().vector, 18U);
    EXPECT_FALSE(processor_.machine_check);
    EXPECT_TRUE(exit(ExitReason::nmi_window)) << "and goes on as ever";
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

}  // namespace
}  // namespace hvp::vmx
