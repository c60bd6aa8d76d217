// MOV to and from control registers, and guests that may leave protection and paging.
#include "tests/unit/exits/exit_test.hpp"

namespace hvp::vmx {
namespace {

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

// A processor raises #GP for it, and VM entry refuses a guest that has it.
TEST_F(ExitTest, Cr0KeepsWriteProtectionWhileCr4HasCet) {
    vmcs_.write(guest_cr4, Cr4::control_flow_enforcement);
    registers_[Register::rax] = 0x8004'0013;
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(0, 0, Register::rax)));
    expect_fault(Vector::general_protection);
    vmcs_.write(guest_cr4, {});
    vmcs_.write(guest_rip, arch::GuestLinearAddress{rip});
    EXPECT_TRUE(exit(ExitReason::control_register_access, 3, access(0, 0, Register::rax)));
    EXPECT_EQ(vmcs_.read(cr0_read_shadow).raw(), 0x8004'0013U);
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

}  // namespace
}  // namespace hvp::vmx
