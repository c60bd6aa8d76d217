// Every field of every kind of entry is where the SDM's table puts it. The numbers here are typed
// from the tables, and not computed by our code.
#include "hypervisor/ept/entry.hpp"

#include <gtest/gtest.h>

#include <bit>

#include "hypervisor/ept/capability.hpp"
#include "hypervisor/ept/pointer.hpp"
#include "hypervisor/ept/violation.hpp"

namespace hvp::ept {
namespace {

constexpr std::uint64_t all = ~0ULL;

template <typename T>
std::uint64_t raw(T value) {
    return std::bit_cast<std::uint64_t>(value);
}

// Sets all bits of one field, and expects exactly bits HIGH to LOW.
#define EXPECT_BITS(type, field, high, low)                                                 \
    do {                                                                                    \
        type value{};                                                                       \
        value.field = static_cast<std::uint64_t>(all & (all >> (63 - ((high) - (low)))));   \
        EXPECT_EQ(raw(value), (all >> (63 - (high))) & (all << (low))) << #type "." #field; \
    } while (false)

template <typename T>
void expect_rights() {
    EXPECT_BITS(T, read, 0, 0);
    EXPECT_BITS(T, write, 1, 1);
    EXPECT_BITS(T, execute, 2, 2);
    EXPECT_BITS(T, accessed, 8, 8);
    EXPECT_BITS(T, user_execute, 10, 10);
    EXPECT_BITS(T, ignored_11, 11, 11);
}

template <typename T>
void expect_page() {
    expect_rights<T>();
    EXPECT_BITS(T, memory_type, 5, 3);
    EXPECT_BITS(T, ignore_pat, 6, 6);
    EXPECT_BITS(T, dirty, 9, 9);
    EXPECT_BITS(T, ignored_62_52, 62, 52);
    EXPECT_BITS(T, suppress_virtualization_exception, 63, 63);
}

// [SDM 3C 28.2.2 "EPT Translation Mechanism", Table 28-1]
TEST(EptEntry, Pml4eIsAsTable28_1) {
    expect_rights<Pml4Entry>();
    EXPECT_BITS(Pml4Entry, reserved_7_3, 7, 3);
    EXPECT_BITS(Pml4Entry, ignored_9, 9, 9);
    EXPECT_BITS(Pml4Entry, frame, 51, 12);
    EXPECT_BITS(Pml4Entry, ignored_63_52, 63, 52);
}

// [SDM 3C 28.2.2 "EPT Translation Mechanism", Table 28-2]
TEST(EptEntry, PdpteThatMapsIsAsTable28_2) {
    expect_page<PdpteThatMaps>();
    EXPECT_BITS(PdpteThatMaps, maps_page, 7, 7);
    EXPECT_BITS(PdpteThatMaps, reserved_29_12, 29, 12);
    EXPECT_BITS(PdpteThatMaps, frame, 51, 30);
}

// [SDM 3C 28.2.2 "EPT Translation Mechanism", Tables 28-3 and 28-5]
TEST(EptEntry, EntriesThatReferenceAreAsTables28_3And28_5) {
    expect_rights<PdpteThatReferences>();
    EXPECT_BITS(PdpteThatReferences, reserved_6_3, 6, 3);
    EXPECT_BITS(PdpteThatReferences, maps_page, 7, 7);
    EXPECT_BITS(PdpteThatReferences, ignored_9, 9, 9);
    EXPECT_BITS(PdpteThatReferences, frame, 51, 12);
    EXPECT_BITS(PdpteThatReferences, ignored_63_52, 63, 52);
}

// [SDM 3C 28.2.2 "EPT Translation Mechanism", Table 28-4]
TEST(EptEntry, PdeThatMapsIsAsTable28_4) {
    expect_page<PdeThatMaps>();
    EXPECT_BITS(PdeThatMaps, maps_page, 7, 7);
    EXPECT_BITS(PdeThatMaps, reserved_20_12, 20, 12);
    EXPECT_BITS(PdeThatMaps, frame, 51, 21);
}

// [SDM 3C 28.2.2 "EPT Translation Mechanism", Table 28-6]
TEST(EptEntry, PteIsAsTable28_6) {
    expect_page<PageTableEntry>();
    EXPECT_BITS(PageTableEntry, ignored_7, 7, 7);
    EXPECT_BITS(PageTableEntry, frame, 51, 12);
}

// [SDM 3C 24.6.11 "Extended-Page-Table Pointer (EPTP)", Table 24-8]
TEST(EptEntry, PointerIsAsTable24_8) {
    EXPECT_BITS(Pointer, tables_memory_type, 2, 0);
    EXPECT_BITS(Pointer, walk_length_minus_1, 5, 3);
    EXPECT_BITS(Pointer, accessed_and_dirty, 6, 6);
    EXPECT_BITS(Pointer, reserved_11_7, 11, 7);
    EXPECT_BITS(Pointer, frame, 51, 12);
    EXPECT_BITS(Pointer, reserved_63_52, 63, 52);
    EXPECT_EQ(raw(pointer_to(arch::HostPhysicalAddress{0x12'3456'7000})), 0x12'3456'701EU);
}

// [SDM 3D A.10 "VPID and EPT Capabilities"]
TEST(EptEntry, CapabilityIsAsAppendixA10) {
    EXPECT_BITS(Capability, execute_only, 0, 0);
    EXPECT_BITS(Capability, walk_length_4, 6, 6);
    EXPECT_BITS(Capability, tables_uncacheable, 8, 8);
    EXPECT_BITS(Capability, tables_write_back, 14, 14);
    EXPECT_BITS(Capability, pages_2_mb, 16, 16);
    EXPECT_BITS(Capability, pages_1_gb, 17, 17);
    EXPECT_BITS(Capability, invept, 20, 20);
    EXPECT_BITS(Capability, accessed_and_dirty, 21, 21);
    EXPECT_BITS(Capability, advanced_violation_information, 22, 22);
    EXPECT_BITS(Capability, supervisor_shadow_stack, 23, 23);
    EXPECT_BITS(Capability, invept_single_context, 25, 25);
    EXPECT_BITS(Capability, invept_all_contexts, 26, 26);
    EXPECT_BITS(Capability, invvpid, 32, 32);
    EXPECT_BITS(Capability, invvpid_individual_address, 40, 40);
    EXPECT_BITS(Capability, invvpid_single_context, 41, 41);
    EXPECT_BITS(Capability, invvpid_all_contexts, 42, 42);
    EXPECT_BITS(Capability, invvpid_single_context_but_globals, 43, 43);
}

// [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-7]
TEST(EptEntry, ViolationQualificationIsAsTable27_7) {
    EXPECT_BITS(ViolationQualification, read, 0, 0);
    EXPECT_BITS(ViolationQualification, write, 1, 1);
    EXPECT_BITS(ViolationQualification, execute, 2, 2);
    EXPECT_BITS(ViolationQualification, readable, 3, 3);
    EXPECT_BITS(ViolationQualification, writable, 4, 4);
    EXPECT_BITS(ViolationQualification, executable, 5, 5);
    EXPECT_BITS(ViolationQualification, user_executable, 6, 6);
    EXPECT_BITS(ViolationQualification, linear_address_valid, 7, 7);
    EXPECT_BITS(ViolationQualification, final_access, 8, 8);
    EXPECT_BITS(ViolationQualification, user_linear_address, 9, 9);
    EXPECT_BITS(ViolationQualification, linear_address_writable, 10, 10);
    EXPECT_BITS(ViolationQualification, linear_address_execute_disable, 11, 11);
    EXPECT_BITS(ViolationQualification, nmi_unblocking_by_iret, 12, 12);
    EXPECT_BITS(ViolationQualification, reserved_63_13, 63, 13);
}

// The view that all levels share agrees with the types of each.
TEST(EptEntry, TheCommonViewReadsTheSameBits) {
    const Leaf leaf{.physical = arch::HostPhysicalAddress{0x40'0000'0000},
                    .rights = read_execute,
                    .type = MemoryType::write_through};
    const auto pte = std::bit_cast<PageTableEntry>(Entry::mapping(Level::page_table, leaf));
    EXPECT_EQ(pte.read, 1U);
    EXPECT_EQ(pte.write, 0U);
    EXPECT_EQ(pte.execute, 1U);
    EXPECT_EQ(pte.memory_type, 4U);
    EXPECT_EQ(pte.ignored_7, 0U);
    EXPECT_EQ(pte.frame, 0x400'0000U);
    const auto pde = std::bit_cast<PdeThatMaps>(Entry::mapping(Level::directory, leaf));
    EXPECT_EQ(pde.maps_page, 1U);
    EXPECT_EQ(pde.frame, 0x2'0000U);
    const auto pdpte = std::bit_cast<PdpteThatMaps>(Entry::mapping(Level::pointers, leaf));
    EXPECT_EQ(pdpte.maps_page, 1U);
    EXPECT_EQ(pdpte.frame, 0x100U);
    const auto reference =
        std::bit_cast<Pml4Entry>(Entry::referencing(arch::HostPhysicalAddress{0x1000}));
    EXPECT_EQ(reference.frame, 1U);
    EXPECT_EQ(reference.reserved_7_3, 0U);
}

// A large page's bits are all kept when it is split: only the address and bit 7 are different.
TEST(EptEntry, APartOfALargePageKeepsEveryOtherBit) {
    PdeThatMaps large{.read = 1,
                      .execute = 1,
                      .memory_type = 5,
                      .ignore_pat = 1,
                      .maps_page = 1,
                      .accessed = 1,
                      .dirty = 1,
                      .user_execute = 1,
                      .ignored_11 = 1,
                      .frame = 7,
                      .ignored_62_52 = 0x555,
                      .suppress_virtualization_exception = 1};
    const Entry part = Entry{raw(large)}.part(Level::directory, 511);
    large.maps_page = 0;
    large.frame = 0;
    EXPECT_EQ(part.raw(), raw(large) | (7ULL << 21) | (511ULL << 12));
    const Entry half = Entry::mapping(Level::pointers, {.physical = arch::HostPhysicalAddress{0},
                                                        .rights = everything})
                           .part(Level::pointers, 3);
    EXPECT_TRUE(half.maps_page(Level::directory));
    EXPECT_EQ(half.address().raw(), 3ULL << 21);
}

TEST(EptCapability, EachRequirementHasItsBit) {
    constexpr std::uint64_t skylake = 0xF01'0633'4141;
    EXPECT_EQ(missing_requirement(skylake), nullptr);
    for (const unsigned bit : {6U, 14U, 20U, 25U}) {
        const Requirement* const missing = missing_requirement(skylake & ~(1ULL << bit));
        ASSERT_NE(missing, nullptr);
        EXPECT_EQ(missing->bit, bit);
    }
}

}  // namespace
}  // namespace hvp::ept
