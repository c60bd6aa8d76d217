// DbgPrint's formats. The expectations are what Microsoft's "Format specification syntax" says.
#include "lab/nt/rtl/format.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::rtl {
namespace {

struct Formatted {
    std::string text;
    bool wide;
};

[[gnu::ms_abi]] Formatted formatted(const char* pattern, ...) {
    std::array<char, 256> buffer{};
    TextWriter writer{buffer};
    __builtin_ms_va_list arguments;
    __builtin_ms_va_start(arguments, pattern);
    const auto facts = format(writer, pattern, arguments);
    __builtin_ms_va_end(arguments);
    return {std::string{writer.view()}, facts.converted_wide_text};
}

#define EXPECT_FORMAT(expected, ...) EXPECT_EQ(formatted(__VA_ARGS__).text, expected)

TEST(Format, IntegersWithSignsAndBases) {
    EXPECT_FORMAT("-5 5 +5  5", "%d %i %+d % d", -5, 5, 5, 5);
    EXPECT_FORMAT("4294967295", "%u", 0xFFFF'FFFFU);
    EXPECT_FORMAT("ff FF 0xff 0XFF 0", "%x %X %#x %#X %#x", 255, 255, 255, 255, 0);
    EXPECT_FORMAT("17 017", "%o %#o", 15, 15);
    EXPECT_FORMAT("-2147483648", "%d", -2147483647 - 1);
}

TEST(Format, WidthPrecisionAndFlags) {
    EXPECT_FORMAT("[    7][7    ][00007]", "[%5d][%-5d][%05d]", 7, 7, 7);
    EXPECT_FORMAT("[  007][-0007]", "[%5.3d][%05d]", 7, -7);
    EXPECT_FORMAT("[    9][9    ][009]", "[%*d][%*d][%.*d]", 5, 9, -5, 9, 3, 9);
    EXPECT_FORMAT("[]", "[%.0d]", 0);
}

TEST(Format, LengthsAreMicrosofts) {
    EXPECT_FORMAT("-1 65535 255", "%hd %hu %hhu", 0xFFFF, 0xFFFF, 0xFFFF);
    EXPECT_FORMAT("ffffffff", "%lx", 0xFFFF'FFFFU);  // long has 32 bits
    EXPECT_FORMAT("-1 ffffffffffffffff", "%lld %llx", -1LL, -1LL);
    EXPECT_FORMAT("123456789abcdef0", "%I64x", 0x1234'5678'9ABC'DEF0ULL);
    EXPECT_FORMAT("-5 9abcdef0", "%I64d %I32x", -5LL, 0x9ABC'DEF0U);
    EXPECT_FORMAT("100000000 100000000 100000000", "%Ix %zx %tx", 1ULL << 32, 1ULL << 32,
                  1ULL << 32);
    EXPECT_FORMAT("ffffffffffffffff", "%jx", ~0ULL);
}

TEST(Format, PointersHaveSixteenDigits) {
    EXPECT_FORMAT("FFFFF80012345678 0000000000000000", "%p %p",
                  reinterpret_cast<void*>(0xFFFF'F800'1234'5678), nullptr);
}

TEST(Format, NarrowAndWideText) {
    EXPECT_FORMAT("abc|ab|  abc|abc  |", "%s|%.2s|%5s|%-5s|", "abc", "abc", "abc", "abc");
    EXPECT_FORMAT("wide wide wide", "%S %ws %ls", u"wide", u"wide", u"wide");
    EXPECT_FORMAT("narrow narrow", "%hs %hS", "narrow", "narrow");
    EXPECT_FORMAT("x y z", "%c %C %wc", 'x', u'y', u'z');
    EXPECT_FORMAT("?", "%S", u"\u20AC");
    EXPECT_FORMAT("(null) (null)", "%s %ws", nullptr, nullptr);
}

TEST(Format, CountedTextNeedsNoTerminator) {
    char16_t wide[]{u'a', u'b', u'c', u'X'};
    char narrow[]{'d', 'e', 'X'};
    const UnicodeString unicode{.length = 6, .maximum_length = 8, .buffer = wide};
    const AnsiString ansi{.length = 2, .maximum_length = 3, .buffer = narrow};
    EXPECT_FORMAT("abc de", "%wZ %Z", &unicode, &ansi);
    EXPECT_FORMAT("[ abc][ab]", "[%4wZ][%.2wZ]", &unicode, &unicode);
    EXPECT_FORMAT("(null)", "%wZ", nullptr);
}

// [Windows: DbgPrint] Wide text is allowed at PASSIVE_LEVEL only, so the caller must know of it.
TEST(Format, ReportsWhetherWideTextWasConverted) {
    EXPECT_FALSE(formatted("%s %d %c %hS", "x", 1, 'c', "n").wide);
    EXPECT_TRUE(formatted("%S", u"x").wide);
    EXPECT_TRUE(formatted("%wc", u'x').wide);
    const UnicodeString empty{};
    EXPECT_FALSE(formatted("%wZ", &empty).wide);
}

TEST(Format, OddEndsAndUnknownTypes) {
    EXPECT_FORMAT("100%", "100%%");
    EXPECT_FORMAT("end", "end%");
    EXPECT_FORMAT("end", "end%-5");
    EXPECT_FORMAT("y", "%y");
    EXPECT_FORMAT("5 after", "%n%d after", nullptr, 5);
}

TEST(Format, MoreThanTheRoomIsDroppedAndReported) {
    std::array<char, 4> buffer{};
    TextWriter writer{buffer};
    writer.put("abcdef");
    EXPECT_EQ(writer.view(), "abcd");
    EXPECT_TRUE(writer.truncated());
}

TEST(TextWriter, HexadecimalHasAtLeastTheDigitsAskedFor) {
    EXPECT_EQ(Text<40>{}.hex(0).put(" ").hex(0x2B).put(" ").hex(0x2B, 8).view(),
              "0x0 0x2b 0x0000002b");
    EXPECT_EQ(Text<40>{}.hex(~0ULL).view(), "0xffffffffffffffff");
}

}  // namespace
}  // namespace hvp::lab::rtl
