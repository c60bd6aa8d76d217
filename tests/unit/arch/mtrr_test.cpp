// Which memory type the MTRRs give an address, held against the SDM's text and its examples.
#include "hypervisor/arch/mtrr.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/exits/virtual_mtrrs.hpp"
#include "tests/unit/arch/mtrr_settings.hpp"

namespace hvp::arch {
namespace {

using enum MemoryType;

constexpr HostPhysicalAddress at(std::uint64_t raw) {
    return HostPhysicalAddress{raw};
}

/// A stretch of memory and its type.
struct Expected {
    std::uint64_t end;
    MemoryType type;
};

void expect_ranges(const MtrrSnapshot& mtrrs, std::initializer_list<Expected> all) {
    HostPhysicalAddress start{0};
    const HostPhysicalAddress limit{(all.end() - 1)->end};
    for (const Expected& one : all) {
        const UniformRange range = next_uniform(mtrrs, start, limit);
        EXPECT_EQ(range.type, one.type) << std::hex << start.raw();
        EXPECT_EQ(range.end.raw(), one.end);
        EXPECT_EQ(mtrr_type_of(mtrrs, start), one.type);
        EXPECT_EQ(mtrr_type_of(mtrrs, at(one.end - 1)), one.type);
        start = at(one.end);
    }
}

// [SDM 3A 11.11.3 "Example Base and Mask Calculations", Example 11-2]; the BIOS sets the default
// type to UC, as the manual recommends.
TEST(Mtrr, ResolvesTheExampleOfTheManual) {
    const MtrrSnapshot mtrrs = with_pairs({{0x0000'0006, 0xF'FC00'0800},
                                           {0x0400'0006, 0xF'FE00'0800},
                                           {0x0600'0006, 0xF'FFC0'0800},
                                           {0x0400'0000, 0xF'FFC0'0800},
                                           {0x00F0'0000, 0xF'FFF0'0800},
                                           {0xA000'0001, 0xF'FF80'0800}});
    expect_ranges(mtrrs, {{15 * mb, write_back},
                          {16 * mb, uncacheable},
                          {64 * mb, write_back},
                          {68 * mb, uncacheable},
                          {100 * mb, write_back},
                          {0xA000'0000, uncacheable},
                          {0xA080'0000, write_combining},
                          {1ULL << 36, uncacheable}});
}

// [SDM 3A 11.11.3.1 "Base and Mask Calculations for Greater-Than 36-bit Physical Address Support"]
TEST(Mtrr, ResolvesTheExampleWith40Bits) {
    const MtrrSnapshot mtrrs = with_pairs({{0x0000'0006, 0xFF'FC00'0800},
                                           {0x0400'0006, 0xFF'FE00'0800},
                                           {0x0600'0006, 0xFF'FFC0'0800},
                                           {0x0400'0000, 0xFF'FFC0'0800},
                                           {0x00F0'0000, 0xFF'FFF0'0800},
                                           {0xA000'0001, 0xFF'FF80'0800}});
    expect_ranges(mtrrs, {{15 * mb, write_back},
                          {16 * mb, uncacheable},
                          {64 * mb, write_back},
                          {68 * mb, uncacheable},
                          {100 * mb, write_back},
                          {0xA000'0000, uncacheable},
                          {0xA080'0000, write_combining},
                          {1ULL << 40, uncacheable}});
    EXPECT_EQ(mtrr_type_of(mtrrs, at((1ULL << 36) + mb)), uncacheable)
        << "a mask of 36 bits would match here, too";
}

TEST(Mtrr, DisabledOnesMakeEverythingUncacheable) {
    MtrrSnapshot mtrrs = with_pairs({{0x6, 0xF'0000'0800}}, write_back);
    mtrrs.default_type.fixed_enabled = 1;
    mtrrs.fixed.fill(0x0606060606060606);
    mtrrs.default_type.enabled = 0;
    expect_ranges(mtrrs, {{1ULL << 36, uncacheable}});
}

TEST(Mtrr, FixedRangesComeFirstWhereTheyAreEnabledAndThere) {
    MtrrSnapshot mtrrs = with_pairs({{0x6, 0xF'FFE0'0800}});
    mtrrs.fixed[2] = 0x0101010101010101;   // A0000 to BFFFF
    mtrrs.fixed[10] = 0x0500000000000000;  // the last page
    expect_ranges(mtrrs, {{2 * mb, write_back}, {4 * mb, uncacheable}});
    mtrrs.default_type.fixed_enabled = 1;
    expect_ranges(mtrrs, {{0xA'0000, uncacheable},
                          {0xC'0000, write_combining},
                          {0xF'F000, uncacheable},
                          {0x10'0000, write_protected},
                          {2 * mb, write_back}});
    mtrrs.capabilities.fixed_ranges = 0;
    expect_ranges(mtrrs, {{2 * mb, write_back}});
}

TEST(Mtrr, UncacheableWinsThenWriteThroughOverWriteBack) {
    constexpr std::uint64_t low_mb = 0xF'FFF0'0800;
    const auto of = [](std::initializer_list<VariableMtrr> pairs) {
        return mtrr_type_of(with_pairs(pairs, write_combining), at(0x5000));
    };
    EXPECT_EQ(of({}), write_combining);
    EXPECT_EQ(of({{4, low_mb}, {6, low_mb}}), write_through);
    EXPECT_EQ(of({{6, low_mb}, {4, low_mb}}), write_through);
    EXPECT_EQ(of({{5, low_mb}, {5, low_mb}}), write_protected);
    EXPECT_EQ(of({{6, low_mb}, {4, low_mb}, {0, low_mb}}), uncacheable);
    EXPECT_EQ(of({{1, low_mb}, {6, low_mb}}), uncacheable) << "undefined: the safe one";
    EXPECT_EQ(of({{6, low_mb & ~0x800ULL}}), write_combining) << "a pair that is not valid";
    EXPECT_EQ(of({{2, low_mb}}), uncacheable) << "a reserved type, as after reset";
}

// Every byte is asked for, in a space small enough, with settings of all kinds.
TEST(Mtrr, AgreesWithTheTextFor20000Settings) {
    constexpr std::uint64_t space = 1536 * 1024;
    RandomMtrrs settings{2005};
    for (int i = 0; i < 20'000; ++i) {
        const MtrrSnapshot mtrrs = settings.next(21, true);
        UniformRange range{};
        for (std::uint64_t page = 0; page < space; page += page_bytes) {
            const std::uint64_t byte = page + settings.below(page_bytes);
            const MemoryType expected = by_the_text(mtrrs, byte);
            ASSERT_EQ(mtrr_type_of(mtrrs, at(byte)), expected) << std::hex << byte;
            if (page == range.end.raw()) {
                const MemoryType before = range.type;
                range = next_uniform(mtrrs, at(page), at(space));
                ASSERT_TRUE(page == 0 || range.type != before) << "the last range ended early";
                ASSERT_GT(range.end, range.start);
            }
            ASSERT_EQ(range.type, expected) << std::hex << byte;
        }
        ASSERT_EQ(range.end.raw(), space);
    }
}

TEST(Mtrr, AgreesWithTheTextInLargeSpaces) {
    RandomMtrrs settings{46};
    for (int i = 0; i < 20'000; ++i) {
        const auto bits = static_cast<std::uint32_t>(36 + settings.below(11));
        const HostPhysicalAddress limit{1ULL << bits};
        const MtrrSnapshot mtrrs = settings.next(bits, true);
        const HostPhysicalAddress start{settings.below(limit.raw()) & ~0xFFFULL};
        const UniformRange range = next_uniform(mtrrs, start, limit);
        ASSERT_GT(range.end, start);
        for (int look = 0; look < 8; ++look) {
            const HostPhysicalAddress inside = start + settings.below(range.end - start);
            ASSERT_EQ(by_the_text(mtrrs, inside.raw()), range.type);
        }
        ASSERT_EQ(by_the_text(mtrrs, range.end.raw() - 1), range.type);
        if (range.end < limit) {
            ASSERT_NE(by_the_text(mtrrs, range.end.raw()), range.type);
        }
    }
}

// Every second page is write-back twice: that changes nothing, a hundred million times.
TEST(Mtrr, ManyRangesThatChangeNothingTakeBoundedTime) {
    constexpr std::uint64_t odd_pages = 0x1800;
    const MtrrSnapshot mtrrs = with_pairs({{0x1006, odd_pages}}, write_back);
    const UniformRange range = next_uniform(mtrrs, at(0), at(1ULL << 46));
    EXPECT_EQ(range.type, write_back);
    EXPECT_EQ(range.end.raw(), most_steps * page_bytes);
}

class ReadMtrrs : public testing::Test {
protected:
    void SetUp() override { processor = FakeProcessor{}; }
};

TEST_F(ReadMtrrs, ReadsEachRegisterThatIsThere) {
    processor.cpuid[1].edx = 1U << 12;
    processor.msrs[Msr::mtrrcap] = 0x508;
    processor.msrs[Msr::mtrr_def_type] = 0xC06;
    std::uint64_t value = 100;
    for (const unsigned msr :
         {0x250U, 0x258U, 0x259U, 0x268U, 0x269U, 0x26AU, 0x26BU, 0x26CU, 0x26DU, 0x26EU, 0x26FU}) {
        processor.msrs[static_cast<Msr>(msr)] = value++;
    }
    for (std::uint32_t msr = 0x200; msr < 0x210; ++msr) {
        processor.msrs[static_cast<Msr>(msr)] = value++;
    }
    const MtrrSnapshot mtrrs = read_mtrrs();
    EXPECT_EQ(mtrrs.capabilities.variable_count, 8U);
    EXPECT_EQ(mtrrs.capabilities.write_combining, 1U);
    EXPECT_EQ(mtrrs.default_type.type, 6U);
    EXPECT_EQ(mtrrs.default_type.enabled, 1U);
    for (std::uint64_t i = 0; i < 11; ++i) {
        EXPECT_EQ(mtrrs.fixed[i], 100 + i);
    }
    ASSERT_EQ(mtrrs.variable_ranges().size(), 8U);
    for (std::uint64_t i = 0; i < 8; ++i) {
        EXPECT_EQ(mtrrs.variable[i].base, 111 + 2 * i);
        EXPECT_EQ(mtrrs.variable[i].mask, 112 + 2 * i);
    }
}

TEST_F(ReadMtrrs, ReadsNoneWhereThereAreNone) {
    const MtrrSnapshot mtrrs = read_mtrrs();  // any RDMSR would raise #GP
    EXPECT_EQ(mtrr_type_of(mtrrs, at(0)), uncacheable);
    processor.cpuid[1].edx = 1U << 12;
    processor.msrs[Msr::mtrrcap] = 0;
    processor.msrs[Msr::mtrr_def_type] = 0x806;
    EXPECT_EQ(mtrr_type_of(read_mtrrs(), at(0)), write_back);
}

// [SDM 3A 11.11.2.4 "System-Management Range Register Interface"]: its addresses have 32 bits, and
// above 4 GBytes nothing is its own.
TEST_F(ReadMtrrs, MemoryOfSystemManagementModeIsUncacheable) {
    processor.cpuid[1].edx = 1U << 12;
    processor.msrs[Msr::mtrrcap] = 0x800;
    processor.msrs[Msr::mtrr_def_type] = 0x806;
    processor.msrs[Msr::smrr_physbase] = 0x7F80'0006;
    processor.msrs[Msr::smrr_physmask] = 0xFF80'0800;
    const MtrrSnapshot mtrrs = read_mtrrs();
    EXPECT_EQ(mtrr_type_of(mtrrs, at(0x7F7F'F000)), write_back);
    EXPECT_EQ(mtrr_type_of(mtrrs, at(0x7F80'0000)), uncacheable);
    EXPECT_EQ(mtrr_type_of(mtrrs, at(0x7FFF'FFFF)), uncacheable);
    EXPECT_EQ(mtrr_type_of(mtrrs, at(0x8000'0000)), write_back);
    EXPECT_EQ(mtrr_type_of(mtrrs, at(0x1'7F80'0000)), write_back);
    EXPECT_EQ(next_uniform(mtrrs, at(0), at(1ULL << 36)).end, at(0x7F80'0000));
    EXPECT_EQ(next_uniform(mtrrs, at(0x7F80'0000), at(1ULL << 36)).end, at(0x8000'0000));
}

// Bits 35:32 of IA32_TME_ACTIVATE: so many of the uppermost address bits name a key.
TEST_F(ReadMtrrs, AddressesHaveNoBitsThatNameAKey) {
    processor.cpuid[0x8000'0008].eax = 46;
    EXPECT_EQ(mtrr_address_bits(), 46U) << "without that MSR, or RDMSR would raise #GP";
    processor.cpuid[7].ecx = 1U << 13;
    processor.msrs[Msr::tme_activate] = 0x6'0000'0001;
    EXPECT_EQ(mtrr_address_bits(), 46U) << "not active";
    processor.msrs[Msr::tme_activate] = 0x6'0000'0003;
    EXPECT_EQ(mtrr_address_bits(), 40U);
}

TEST(VirtualMtrrs, KeepWhatTheGuestWrites) {
    processor = FakeProcessor{};  // each WRMSR to it would raise #GP
    vmx::VirtualMtrrs mtrrs{{.capabilities = usual_capabilities}, 40};
    const auto write = [&mtrrs](std::uint32_t msr, std::uint64_t value) {
        const auto after = mtrrs.after_write(static_cast<Msr>(msr), value);
        if (after) {
            mtrrs.use(*after);
        }
        return after.has_value();
    };
    std::vector<std::uint32_t> all{0x2FF, 0x250, 0x258, 0x259};
    for (std::uint32_t i = 0; i < 8; ++i) {
        all.insert(all.end(), {0x200 + 2 * i, 0x201 + 2 * i, 0x268 + i});
    }
    for (const std::uint32_t msr : all) {
        EXPECT_EQ(mtrrs.read(static_cast<Msr>(msr)), 0U) << msr;
        const bool is_mask = msr < 0x250 && msr % 2 != 0;
        const std::uint64_t value = is_mask ? msr * 0x1000ULL : msr == 0x2FF ? 0xC06 : 0x06;
        EXPECT_TRUE(write(msr, value)) << msr;
        EXPECT_EQ(mtrrs.read(static_cast<Msr>(msr)), value) << msr;
    }
    EXPECT_EQ(mtrrs.read(static_cast<Msr>(0x200)), 6U) << "no register is another one";
    EXPECT_FALSE(write(0x201, 1ULL << 40)) << "beyond the address bits";
    EXPECT_FALSE(write(0x214, 6)) << "there are ten pairs";
    EXPECT_EQ(mtrrs.read(static_cast<Msr>(0x214)), std::nullopt);
    EXPECT_EQ(mtrrs.read(Msr::pat), std::nullopt);
    EXPECT_TRUE(processor.written.empty());
}

TEST(MtrrWrites, AreValidOrRaiseGeneralProtection) {
    constexpr std::uint32_t bits = 40;
    MtrrCapabilities capabilities = usual_capabilities;
    const auto valid = [&](std::uint32_t msr, std::uint64_t value) {
        return valid_mtrr_write(static_cast<Msr>(msr), value, capabilities, bits);
    };
    EXPECT_TRUE(valid(0x2FF, 0xC06));
    EXPECT_FALSE(valid(0x2FF, 0xC02));
    EXPECT_FALSE(valid(0x2FF, 0xD06)) << "bit 8 is reserved";
    EXPECT_FALSE(valid(0x2FF, 0x1C06));
    EXPECT_TRUE(valid(0x200, 0xFF'FFFF'F006));
    EXPECT_FALSE(valid(0x200, 0x100'0000'0006)) << "beyond MAXPHYADDR";
    EXPECT_FALSE(valid(0x200, 0x806));
    EXPECT_FALSE(valid(0x200, 7));
    EXPECT_TRUE(valid(0x213, 0xFF'FFFF'F800));
    EXPECT_FALSE(valid(0x213, 0x100'0000'0800));
    EXPECT_FALSE(valid(0x213, 0x801));
    EXPECT_FALSE(valid(0x214, 0)) << "there are ten pairs";
    EXPECT_TRUE(valid(0x250, 0x0605040100060606));
    EXPECT_FALSE(valid(0x26F, 0x0306060606060606));
    EXPECT_FALSE(valid(0x251, 0)) << "no MTRR";
    EXPECT_FALSE(valid(0x270, 0));
    EXPECT_FALSE(valid(0xFE, 0x50A)) << "IA32_MTRRCAP cannot be written";
    capabilities.write_combining = 0;
    EXPECT_FALSE(valid(0x2FF, 0x801));
    EXPECT_FALSE(valid(0x250, 1));
    capabilities.fixed_ranges = 0;
    EXPECT_FALSE(valid(0x250, 0));
}

// [SDM 3A 11.11.2 "Setting Memory Ranges with MTRRs"]
TEST(Mtrrs, AreKnownByTheirNumbers) {
    for (const std::uint32_t msr :
         {0x200U, 0x201U, 0x21FU, 0x24FU, 0x250U, 0x258U, 0x259U, 0x268U, 0x26FU, 0x2FFU}) {
        EXPECT_TRUE(is_mtrr(static_cast<Msr>(msr))) << std::hex << msr;
    }
    for (const std::uint32_t msr :
         {0xFEU, 0x1FFU, 0x251U, 0x257U, 0x25AU, 0x267U, 0x270U, 0x277U, 0x2FEU, 0x300U}) {
        EXPECT_FALSE(is_mtrr(static_cast<Msr>(msr))) << std::hex << msr;
    }
}

}  // namespace
}  // namespace hvp::arch
