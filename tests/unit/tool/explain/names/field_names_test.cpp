// Which field each name and each encoding of a dump means.
#include "tool/explain/names/field_names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hypervisor/vmcs/names/field_names.hpp"

namespace hvp::tool {
namespace {

/// The number of what was found; one that no field has, where nothing was.
std::uint64_t number_of(const auto& named) {
    return named ? named->item.number : 0xFFFF;
}

TEST(FieldNames, EachMeansItsField) {
    for (const vmx::FieldFacts& field : vmx::field_facts) {
        for (const std::string_view name : {field.name, field.common}) {
            const auto named = item_of_name(name);
            ASSERT_TRUE(named) << name;
            EXPECT_EQ(named->item.number, field.encoding) << name;
            EXPECT_FALSE(named->is_high_half) << name;
        }
        EXPECT_EQ(item_of_encoding(field.encoding)->item.number, field.encoding);
    }
}

TEST(FieldNames, AreKnownInMostSpellings) {
    const auto encoding = [](std::string_view name) { return number_of(item_of_name(name)); };
    EXPECT_EQ(encoding("VMCS_GUEST_CS_SELECTOR"), 0x802U);
    EXPECT_EQ(encoding("kGuestCsArBytes"), 0x4816U);
    EXPECT_EQ(encoding("VMX_VMCS32_GUEST_CS_ACCESS_RIGHTS"), 0x4816U);
    EXPECT_EQ(encoding("VMCS_32BIT_GUEST_CS_ACCESS_RIGHTS"), 0x4816U);
    EXPECT_EQ(encoding("guest_cr4"), 0x6804U);
    EXPECT_EQ(encoding("EPTP"), 0x201AU);
    EXPECT_EQ(encoding("IA32_VMX_EXIT_CTLS"), 0x483U);
    EXPECT_EQ(encoding("MSR_IA32_VMX_TRUE_EXIT_CTLS"), 0x48FU);
    EXPECT_EQ(encoding("VM_EXIT_CONTROLS"), 0x400CU);
    EXPECT_EQ(encoding("nothing"), 0xFFFFU);
    EXPECT_TRUE(item_of_name("EPT_POINTER_HIGH")->is_high_half);
    EXPECT_FALSE(item_of_name("GUEST_CR0_HIGH"));
    EXPECT_TRUE(item_of_encoding(0x201B)->is_high_half);
    EXPECT_FALSE(item_of_encoding(0x6801));
    EXPECT_EQ(nearest_name("GUEST_CS_SELECTR"), "GUEST_CS_SELECTOR");
    EXPECT_EQ(nearest_name("GUEST_TR_ACCES_RIGHTS"), "GUEST_TR_ACCESS_RIGHTS");
}

TEST(FieldNames, AreFoundAtTheEndOfALine) {
    const auto encoding = [](std::string_view text) { return number_of(item_at_end_of(text)); };
    EXPECT_EQ(encoding("[  12.3] mydriver: GUEST_RIP"), 0x681EU);
    EXPECT_EQ(encoding("vmx.cpp:30] Guest CS base"), 0x6808U);
    EXPECT_EQ(encoding("GUEST_RIP of the guest"), 0xFFFFU);
    EXPECT_EQ(encoding(""), 0xFFFFU);
}

TEST(FieldNames, MayBeEncodings) {
    const auto encoding = [](std::string_view text, bool is_sure = false) {
        return number_of(item_of_encoding_in(text, is_sure));
    };
    EXPECT_EQ(encoding("0x6800"), 0x6800U);
    EXPECT_EQ(encoding("vmread(0x681e)"), 0x681EU);
    EXPECT_EQ(encoding("6800h"), 0x6800U);
    EXPECT_EQ(encoding("0x0"), 0xFFFFU) << "VPID, or any number";
    EXPECT_EQ(encoding("0x0", true), 0U);
    EXPECT_EQ(encoding("0x6801"), 0xFFFFU) << "no field";
}

}  // namespace
}  // namespace hvp::tool
