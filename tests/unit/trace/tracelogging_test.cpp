// What the compiler writes for an event, byte for byte.
#include "hypervisor/trace/tracelogging.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/trace/written.hpp"

namespace hvp::trace {
namespace {

using testing::ElementsAre;

std::vector<unsigned> bytes_of(std::span<const std::uint8_t> bytes) {
    return {bytes.begin(), bytes.end()};
}

std::vector<unsigned> hexadecimal(const std::string& text) {
    std::vector<unsigned> bytes;
    std::istringstream stream{text};
    for (std::string word; stream >> word;) {
        bytes.push_back(static_cast<unsigned>(std::stoul(word, nullptr, 16)));
    }
    return bytes;
}

// A worked example: each kind of field once.
using Exit = Event<"Exit", {}, UInt32<"reason">, HexInt64<"rip">, Text<"text">,
                   FixedArray<"n", In::uint64, 2>, Field<"st", In::int32, Out::ntstatus>>;

TEST(TraceLogging, AProvidersMetadataIsItsName) {
    EXPECT_EQ(bytes_of(provider_metadata<"Lab">), hexadecimal("06 00 4C 61 62 00"));
}

TEST(TraceLogging, AnEventsMetadataIsItsNameAndItsFields) {
    EXPECT_EQ(bytes_of(Exit::metadata),
              hexadecimal("25 00 00 45 78 69 74 00 72 65 61 73 6F 6E 00 08 72 69 70 00 15 "
                          "74 65 78 74 00 02 6E 00 2A 02 00 73 74 00 87 0E"));
}

TEST(TraceLogging, TheDataIsTheValuesOneAfterTheOther) {
    const std::array<std::uint64_t, 2> two{1, 2};
    const auto slots =
        Exit::slots(10, 0xFFFF'F800'1234'5678, "ok", two, static_cast<std::int32_t>(0xC000'0001));
    EXPECT_EQ(bytes_of(written(Exit::layout, slots).data),
              hexadecimal("0A 00 00 00 78 56 34 12 00 F8 FF FF 6F 6B 00 01 00 00 00 00 00 00 00 "
                          "02 00 00 00 00 00 00 00 01 00 00 C0"));
}

TEST(TraceLogging, PiecesAreMarkedAndInOrder) {
    using Two = Event<"Two", {}, UInt32<"a">, Array<"b", In::uint16>>;
    const std::array<std::uint16_t, 3> values{7, 8, 9};
    const auto slots = Two::slots(1, values);
    std::array<DataDescriptor, 5> descriptors{};
    describe(provider_metadata<"Lab">, Two::layout, slots, descriptors);
    EXPECT_EQ(descriptors[0].type, PieceType::provider_metadata);
    EXPECT_EQ(descriptors[1].type, PieceType::event_metadata);
    EXPECT_EQ(descriptors[2].type, PieceType::data);
    EXPECT_EQ(descriptors[0].bytes, 6U);
    EXPECT_EQ(descriptors[1].bytes, Two::metadata.size());
    EXPECT_EQ(descriptors[2].bytes, 4U);
    EXPECT_EQ(descriptors[3].bytes, 2U) << "the number of elements";
    EXPECT_EQ(descriptors[4].bytes, 6U);
    EXPECT_EQ(descriptors[4].address, reinterpret_cast<std::uint64_t>(values.data()));
}

TEST(TraceLogging, TheDescriptorSaysLevelKeywordAndThatTheEventDescribesItself) {
    using Loud = Event<"Loud", {.level = Level::error, .keyword = 6, .opcode = 1}>;
    EXPECT_EQ(Loud::layout.descriptor.channel, 11);
    EXPECT_EQ(Loud::layout.descriptor.id, 0);
    EXPECT_EQ(Loud::layout.descriptor.level, Level::error);
    EXPECT_EQ(Loud::layout.descriptor.opcode, 1);
    EXPECT_EQ(Loud::layout.descriptor.keyword, 6U);
}

// Seven bits to a byte, highest first; what is zero from there on is left out.
TEST(TraceLogging, TagsHave28Bits) {
    EXPECT_THAT(bytes_of(Metadata{}.tag(0).finished<3>()), ElementsAre(3, 0, 0x00));
    EXPECT_THAT(bytes_of(Metadata{}.tag(1).finished<6>()),
                ElementsAre(6, 0, 0x80, 0x80, 0x80, 0x01));
    EXPECT_THAT(bytes_of(Metadata{}.tag(0x0FFF'FFFF).finished<6>()),
                ElementsAre(6, 0, 0xFF, 0xFF, 0xFF, 0x7F));
    EXPECT_THAT(bytes_of(Metadata{}.tag(1 << 21).finished<3>()), ElementsAre(3, 0, 0x01));
    using Tagged = Event<"T", {.tag = 0x0FFF'FFFF}, Field<"a", In::uint8, Out::normal, 1>>;
    EXPECT_EQ(bytes_of(Tagged::metadata),
              hexadecimal("10 00 FF FF FF 7F 54 00 61 00 84 80 80 80 80 01"));
}

// A value of another type would be converted without a word, and move all that follow.
TEST(TraceLogging, OnlyAFieldsOwnTypeFits) {
    using One = Event<"One", {}, UInt32<"a">>;
    static_assert(One::takes<std::uint32_t>);
    static_assert(!One::takes<std::uint64_t>);
    static_assert(!One::takes<std::int32_t>);
    static_assert(!One::takes<>);
    static_assert(!One::takes<std::uint32_t, std::uint32_t>);
    using Word = Event<"Word", {}, Text<"a">>;
    static_assert(Word::takes<const char*>);
    static_assert(!Word::takes<const void*>);
}

}  // namespace
}  // namespace hvp::trace
