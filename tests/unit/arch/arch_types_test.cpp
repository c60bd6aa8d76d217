// Addresses that are not numbers, and words of switches.
#include <gtest/gtest.h>

#include <type_traits>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/bits.hpp"
#include "hypervisor/arch/control_registers.hpp"
#include "hypervisor/vmcs/controls.hpp"

namespace hvp::arch {
namespace {

static_assert(!std::is_convertible_v<GuestPhysicalAddress, HostPhysicalAddress>);
static_assert(!std::is_convertible_v<std::uint64_t, HostLinearAddress>);

TEST(Addresses, MoveByBytesAndHaveADistance) {
    const HostPhysicalAddress page{0x2000};
    EXPECT_EQ((page + 8).raw(), 0x2008U);
    EXPECT_EQ((page - 8).raw(), 0x1FF8U);
    EXPECT_EQ((page + 0x1000) - page, 0x1000U);
    EXPECT_LT(page, page + 1);
    EXPECT_TRUE(is_page_aligned(page));
    EXPECT_FALSE(is_page_aligned(page + 0x800));
}

TEST(Addresses, OfObjectsAreLinear) {
    const int object = 0;
    EXPECT_EQ(linear_address_of(&object).raw(), reinterpret_cast<std::uint64_t>(&object));
}

TEST(Pages, AreRoundedTo) {
    EXPECT_EQ(page_of(GuestPhysicalAddress{0x5FFF}), GuestPhysicalAddress{0x5000});
    EXPECT_EQ(page_of(GuestPhysicalAddress{0x5000}), GuestPhysicalAddress{0x5000});
    EXPECT_EQ(offset_in_page(GuestPhysicalAddress{0x5FFF}), 0xFFFU);
    EXPECT_EQ(pages_for(0), 0U);
    EXPECT_EQ(pages_for(1), 1U);
    EXPECT_EQ(pages_for(0x1000), 1U);
    EXPECT_EQ(pages_for(0x1001), 2U);
}

TEST(Bits, AreNumberedAsInTheManual) {
    EXPECT_EQ(bits(63, 0), ~0ULL);
    EXPECT_EQ(bits(11, 8), 0xF00U);
    EXPECT_EQ(bits(51, 52), 0U) << "none";
    EXPECT_EQ(bit(63), 1ULL << 63);
}

// [SDM 3A 2.5 "Control Registers"]
TEST(ControlRegisters, AreSetsOfSwitches) {
    auto cr0 = Cr0::paging | Cr0::protection_enable;
    EXPECT_EQ(cr0.raw(), 0x8000'0001U);
    cr0 |= Cr0::write_protect;
    EXPECT_TRUE(cr0.has(Cr0::paging | Cr0::write_protect));
    EXPECT_FALSE(cr0.has(Cr0::paging | Cr0::cache_disable));
    EXPECT_EQ((Cr4::vmx_enable | Cr4::os_fxsave).raw(), 0x2200U);
    EXPECT_EQ(((Cr4::vmx_enable | Cr4::os_fxsave) & Cr4::vmx_enable).raw(), 0x2000U);
    EXPECT_TRUE(Flags{Cr4::vmx_enable}.without(Cr4::vmx_enable).empty());
}

// [SDM 3C 24.7.1 "VM-Exit Controls"]
TEST(Controls, AreSetsOfSwitchesToo) {
    using vmx::ExitControl;
    EXPECT_EQ((ExitControl::host_address_space_size | ExitControl::save_debug_controls).raw(),
              0x204U);
}

}  // namespace
}  // namespace hvp::arch
