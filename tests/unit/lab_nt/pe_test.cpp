// Headers, layout and relocations: one correct image, and neighbours that break one rule each.
#include "lab/nt/ldr/pe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/lab_nt/pe_image.hpp"

namespace hvp::lab::pe {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST(PeHeaders, AcceptACorrectDriver) {
    EXPECT_THAT(PeImage{}.refusal(), IsEmpty());
}

/// One field, the value that is wrong, and a part of the sentence.
struct WrongField {
    std::size_t offset;
    std::uint64_t value;
    std::size_t bytes;
    const char* sentence;
};

class PeHeadersRefuse : public testing::TestWithParam<WrongField> {};

TEST_P(PeHeadersRefuse, OneWrongField) {
    const WrongField wrong = GetParam();
    PeImage image;
    std::memcpy(image.bytes.data() + wrong.offset, &wrong.value, wrong.bytes);
    EXPECT_THAT(image.refusal(), HasSubstr(wrong.sentence));
}

using I = PeImage;

INSTANTIATE_TEST_SUITE_P(
    Fields, PeHeadersRefuse,
    testing::Values(WrongField{0, 0x5A4E, 2, "does not begin with a DOS header"},
                    WrongField{0x3C, 0x0FFF'FFF0, 4, "beyond the file"},
                    WrongField{0x3C, 0xFFFF'FFFF, 4, "beyond the file"},
                    WrongField{I::file_header, 0x4551, 4, "no signature PE"},
                    WrongField{I::machine, 0x14C, 2, "machine 0x14c"},
                    WrongField{I::machine, 0xAA64, 2, "machine 0xaa64"},
                    WrongField{I::section_count, 0, 2, "section count 0x0"},
                    WrongField{I::section_count, 97, 2, "section count 0x61"},
                    WrongField{I::section_count, 96, 2, "truncated"},
                    WrongField{I::optional_header_bytes, 96, 2, "too short"},
                    WrongField{I::optional_header_bytes, 120, 2, "data directories reach beyond"},
                    WrongField{I::characteristics, 0x20, 2, "cannot be executed"},
                    WrongField{I::optional_header, 0x10B, 2, "not PE32+"},
                    WrongField{I::entry_point, 0x2000, 4, "no executable section"},
                    WrongField{I::entry_point, 0, 4, "no executable section"},
                    WrongField{I::entry_point, 0xFFFF'FFFF, 4, "no executable section"},
                    WrongField{I::image_base, 0x1'4000'1000, 8, "multiple of 64 KiB"},
                    WrongField{I::section_alignment, 0x200, 4, "section alignment 0x200"},
                    WrongField{I::section_alignment, 0x3000, 4, "power of two"},
                    WrongField{I::file_alignment, 0, 4, "file alignment 0x0"},
                    WrongField{I::file_alignment, 0x2000, 4, "file alignment 0x2000"},
                    WrongField{I::image_bytes, 0, 4, "image size 0x0"},
                    WrongField{I::image_bytes, 0xFFFF'FFFF, 4, "image size 0xffffffff"},
                    WrongField{I::image_bytes, 0x3000, 4, "beyond the image"},
                    WrongField{I::header_bytes, 0x100, 4, "do not hold the section table"},
                    WrongField{I::header_bytes, 0xFFFF'FFFF, 4, "truncated"},
                    WrongField{I::subsystem, 3, 2, "not a driver"},
                    WrongField{I::directory_entries, 17, 4, "there are 16"},
                    WrongField{I::directory(1), 0xFFFF'FFFF, 4, "data directory 0x1"},
                    WrongField{I::directory(5) + 4, 0x2000, 4, "data directory 0x5"}));

INSTANTIATE_TEST_SUITE_P(
    Sections, PeHeadersRefuse,
    testing::Values(
        WrongField{I::section(0) + 12, 0x1200, 4, "section .text is not aligned"},
        WrongField{I::section(0) + 12, 0, 4, "section .text overlaps"},
        WrongField{I::section(1) + 12, 0x1000, 4, "section .data overlaps"},
        WrongField{I::section(0) + 8, 0x1001, 4, "section .data overlaps"},
        WrongField{I::section(2) + 8, 0xFFFF'FFFF, 4, "section .reloc is empty or reaches"},
        WrongField{I::section(2) + 12, 0xFFFF'F000, 4, "section .reloc is empty or reaches"},
        WrongField{I::section(1) + 20, 0x900, 4, "section .data reaches beyond the file"},
        WrongField{I::section(1) + 20, 0xFFFF'FFFF, 4, "section .data reaches beyond the file"},
        WrongField{I::section(1) + 16, 0xFFFF'FFFF, 4, "section .data reaches beyond the file"},
        WrongField{I::section(0) + 20, 0x200, 4, "section .text overlaps the headers"}));

TEST(PeHeaders, EveryTruncationIsRefusedAndNoneIsReadBeyond) {
    const PeImage whole;
    for (std::size_t length = 0; length < whole.bytes.size(); ++length) {
        PeImage cut;
        cut.bytes.resize(length);
        cut.bytes.shrink_to_fit();
        EXPECT_THAT(cut.refusal(), testing::Not(IsEmpty())) << length;
    }
}

TEST(PeHeaders, ATextFileIsNoDriver) {
    PeImage image;
    const char text[] = "MZ is how this text begins, but it is no image at all.";
    image.bytes.assign(std::as_bytes(std::span{text}).begin(),
                       std::as_bytes(std::span{text}).end());
    EXPECT_THAT(image.refusal(), HasSubstr("not a PE image"));
}

TEST(PeLayout, CopiesWhatIsInTheFileAndClearsTheRest) {
    PeImage image;
    image.set<std::uint32_t>(I::section(1) + 16, 8);  // only the pointer is in the file
    const auto headers = parse(image.bytes);
    ASSERT_TRUE(headers);
    std::vector<std::byte> memory(headers->image_bytes, std::byte{0xEE});
    lay_out(*headers, memory);
    EXPECT_EQ(*read<std::uint16_t>(memory, 0), 0x5A4D);
    EXPECT_EQ(*read<std::uint64_t>(memory, 0x2000), 0x1'4000'2000);
    EXPECT_EQ(*read<std::uint64_t>(memory, 0x2008), 0U);
    EXPECT_EQ(*read<std::uint64_t>(memory, 0x3FF8), 0U);
}

TEST(PeLayout, RawBytesBeyondTheVirtualSizeAreNotCopied) {
    PeImage image;
    image.set<std::uint32_t>(I::section(1) + 8, 4);
    const auto headers = parse(image.bytes);
    ASSERT_TRUE(headers);
    std::vector<std::byte> memory(headers->image_bytes);
    lay_out(*headers, memory);
    EXPECT_EQ(*read<std::uint64_t>(memory, 0x2000), 0x4000'2000U);
}

/// Lays the image out and relocates it.
struct Relocated {
    explicit Relocated(const PeImage& image, std::uint64_t base = 0xFFFF'F801'0000'0000) {
        const auto headers = parse(image.bytes);
        memory.resize(headers->image_bytes);
        lay_out(*headers, memory);
        const auto good = relocate(*headers, memory, base);
        sentence = good ? "" : std::string{good.error().view()};
    }
    std::vector<std::byte> memory;
    std::string sentence;
};

TEST(PeRelocation, AddsTheDistanceToEveryListedPointer) {
    const Relocated moved{PeImage{}};
    EXPECT_THAT(moved.sentence, IsEmpty());
    EXPECT_EQ(*read<std::uint64_t>(moved.memory, 0x2000), 0xFFFF'F801'0000'2000);
}

TEST(PeRelocation, AtItsOwnBaseNothingChanges) {
    const Relocated same{PeImage{}, 0x1'4000'0000};
    EXPECT_EQ(*read<std::uint64_t>(same.memory, 0x2000), 0x1'4000'2000);
}

TEST(PeRelocation, StrippedMeansThatItCannotMove) {
    PeImage image;
    image.set<std::uint16_t>(I::characteristics, 0x23);
    EXPECT_THAT(Relocated{image}.sentence, HasSubstr("without relocations"));
    EXPECT_THAT((Relocated{image, 0x1'4000'0000}.sentence), IsEmpty());
}

// Position-independent code without pointers has no relocations, and is not "stripped".
TEST(PeRelocation, NoneAreNeededWhereNoneAreListed) {
    PeImage image;
    image.set<std::uint64_t>(I::directory(5), 0);
    EXPECT_THAT(Relocated{image}.sentence, IsEmpty());
}

TEST(PeRelocation, RefusesBlocksAndEntriesThatCannotBe) {
    const std::size_t block = I::content(2);
    PeImage image;
    image.set<std::uint32_t>(block + 4, 7);
    EXPECT_THAT(Relocated{image}.sentence, HasSubstr("impossible size"));
    image.set<std::uint32_t>(block + 4, 11);
    EXPECT_THAT(Relocated{image}.sentence, HasSubstr("impossible size"));
    image.set<std::uint32_t>(block + 4, 0xFFFF'FFF0);
    EXPECT_THAT(Relocated{image}.sentence, HasSubstr("impossible size"));
    image.set<std::uint32_t>(block + 4, 12);
    image.set<std::uint16_t>(block + 8, 0x3000);
    EXPECT_THAT(Relocated{image}.sentence, HasSubstr("relocation type 0x3"));
    image.set<std::uint16_t>(block + 8, 0xAFFC);
    image.set<std::uint32_t>(block, 0x3000);
    EXPECT_THAT(Relocated{image}.sentence, HasSubstr("lies beyond the image"));
    image.set<std::uint32_t>(block, 0xFFFF'F000);
    EXPECT_THAT(Relocated{image}.sentence, HasSubstr("lies beyond the image"));
}

}  // namespace
}  // namespace hvp::lab::pe
