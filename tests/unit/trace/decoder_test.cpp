// What the lab makes of self-describing events, good ones and broken ones.
#include "lab/nt/etw/decoder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/trace/decoded.hpp"

namespace hvp::lab::etw {
namespace {

using nlohmann::json;

std::string hexadecimal(const std::string& text) {
    std::string bytes;
    std::istringstream stream{text};
    for (std::string word; stream >> word;) {
        bytes.push_back(static_cast<char>(std::stoul(word, nullptr, 16)));
    }
    return bytes;
}

std::string with_size(const std::string& rest) {
    const std::size_t size = rest.size() + 2;
    return std::string{static_cast<char>(size & 0xFF), static_cast<char>(size >> 8)} + rest;
}

/// An event named E with one field named f: its types and what else belongs to it, and its data.
Decoded one_field(const std::string& types, const std::string& data) {
    return decoded(with_size(hexadecimal("00 45 00 66 00 " + types)), hexadecimal(data));
}

const std::string example_metadata = hexadecimal(
    "25 00 00 45 78 69 74 00 72 65 61 73 6F 6E 00 08 72 69 70 00 15 74 65 78 74 00 02 "
    "6E 00 2A 02 00 73 74 00 87 0E");
const std::string example_data = hexadecimal(
    "0A 00 00 00 78 56 34 12 00 F8 FF FF 6F 6B 00 01 00 00 00 00 00 00 00 "
    "02 00 00 00 00 00 00 00 01 00 00 C0");

TEST(Decoder, ReadsTheWorkedExample) {
    const Decoded event = decoded(example_metadata, example_data);
    EXPECT_EQ(event.problem, "");
    EXPECT_EQ(event.name, "Exit");
    EXPECT_EQ(event.fields, json::parse(R"({"reason":10,"rip":"0xfffff80012345678","text":"ok",)"
                                        R"("n":[1,2],"st":"0xc0000001"})"));
}

struct Value {
    const char* types;
    const char* data;
    const char* shown;
};

class Values : public testing::TestWithParam<Value> {};

TEST_P(Values, LookAsTheirTypesSay) {
    const Decoded event = one_field(GetParam().types, GetParam().data);
    EXPECT_EQ(event.problem, "");
    EXPECT_EQ(event.fields["f"], json::parse(GetParam().shown));
}

INSTANTIATE_TEST_SUITE_P(
    Every, Values,
    testing::Values(Value{"01", "41 00 E9 00 3D D8 00 DE 00 00", R"("A\u00e9\ud83d\ude00")"},
                    Value{"01", "3D D8 41 00 00 00", R"("\ufffdA")"},  // half of a pair
                    Value{"02", "68 69 22 00", R"("hi\"")"}, Value{"02", "E2 82 AC 00", R"("€")"},
                    Value{"03", "FE", "-2"}, Value{"04", "FE", "254"},
                    Value{"05", "00 80", "-32768"}, Value{"06", "00 80", "32768"},
                    Value{"07", "FF FF FF FF", "-1"}, Value{"08", "FF FF FF FF", "4294967295"},
                    Value{"09", "00 00 00 00 00 00 00 80", "-9223372036854775808"},
                    Value{"0A", "FF FF FF FF FF FF FF FF", "18446744073709551615"},
                    Value{"0B", "00 00 80 3F", R"("0x3f800000")"},
                    Value{"0C", "00 00 00 00 00 00 F0 3F", R"("0x3ff0000000000000")"},
                    Value{"0D", "02 00 00 00", "true"}, Value{"0E", "02 00 AB CD", R"("abcd")"},
                    Value{"0F", "38 4C 86 B3 73 42 C5 58 54 5B 8B 36 08 34 34 71",
                          R"("b3864c38-4273-58c5-545b-8b3608343471")"},
                    Value{"10", "10 00 00 00 00 00 00 00", R"("0x10")"},
                    Value{"11", "10 00 00 00 00 00 00 00", "16"},
                    Value{"12", "EA 07 01 00 06 00 1F 00 17 00 3B 00 3A 00 E7 03",
                          R"("2026-1-31 23:59:58.999")"},
                    Value{"13", "01 01 00 00 00 00 00 05 12 00 00 00", R"("S-1-5-18")"},
                    Value{"14", "10 00 00 00", R"("0x10")"},
                    Value{"15", "10 00 00 00 00 00 00 00", R"("0x10")"},
                    Value{"16", "02 00 41 00", R"("A")"}, Value{"17", "02 00 41 42", R"("AB")"},
                    Value{"19", "01 00 41", R"("41")"}));

INSTANTIATE_TEST_SUITE_P(
    WithOutTypes, Values,
    testing::Values(Value{"84 02", "41", R"("A")"}, Value{"86 02", "41 00", R"("A")"},
                    Value{"84 03", "01", "true"}, Value{"88 04", "10 00 00 00", R"("0x10")"},
                    Value{"86 07", "1F 90", "8080"},
                    Value{"88 08", "7F 00 00 01", R"("127.0.0.1")"},
                    Value{"88 0F", "05 00 07 80", R"("0x80070005")"},
                    Value{"88 11", "FF FF FF FF", "-1"},
                    Value{"87 12", "FF FF FF FF", "4294967295"},
                    Value{"8A 25", "10 00 00 00 00 00 00 00", R"("0x10")"},
                    // tags behind the Out byte, in the shortest form and in a longer one
                    Value{"88 84 01", "10 00 00 00", R"("0x10")"},
                    Value{"88 84 80 00", "10 00 00 00", R"("0x10")"}));

INSTANTIATE_TEST_SUITE_P(
    InArrays, Values,
    testing::Values(Value{"24 03 00", "01 02 03", "[1,2,3]"}, Value{"44", "02 00 01 02", "[1,2]"},
                    Value{"44", "00 00", "[]"}, Value{"42", "02 00 41 00 00", R"(["A",""])"},
                    Value{"64 02 00 AA BB", "03 00 01 02 03", R"("010203")"},
                    // a structure of two members; an array of it; and an empty array
                    Value{"98 02 61 00 04 62 00 06", "01 02 00", R"({"a":1,"b":2})"},
                    Value{"D8 02 61 00 04 62 00 04", "02 00 01 02 03 04",
                          R"([{"a":1,"b":2},{"a":3,"b":4}])"},
                    Value{"D8 01 61 00 98 01 62 00 04", "00 00", "[]"}));

// The event must not say when, where and by whom it was written.
TEST(Decoder, ALinesOwnMembersKeepTheirMeaning) {
    const Decoded event = decoded(with_size(hexadecimal("00 45 00 74 00 04 66 72 6F 6D 00 04")),
                                  hexadecimal("01 02"));
    EXPECT_EQ(event.fields, json::parse(R"({"t_":1,"from_":2})"));
}

TEST(Decoder, ARemarkBehindASemicolonIsNotPartOfTheName) {
    const Decoded event =
        decoded(with_size(hexadecimal("00 45 00 61 3B 62 00 04")), hexadecimal("01"));
    EXPECT_EQ(event.fields, json::parse(R"({"a":1})"));
}

TEST(Decoder, AnEventMayHaveTagsAndNoFields) {
    const Decoded event = decoded(with_size(hexadecimal("FF FF FF 7F 45 00")), "");
    EXPECT_EQ(event.problem, "");
    EXPECT_EQ(event.name, "E");
    EXPECT_EQ(event.fields, json::object());
}

struct Broken {
    const char* what;
    std::string metadata;
    std::string data;
    const char* problem;
};

std::ostream& operator<<(std::ostream& stream, const Broken& broken) {
    return stream << broken.what;
}

class BrokenEvents : public testing::TestWithParam<Broken> {};

TEST_P(BrokenEvents, AreToldByTheirFault) {
    EXPECT_EQ(decoded(GetParam().metadata, GetParam().data).problem, GetParam().problem);
}

std::string event_of(const std::string& fields) {
    return with_size(hexadecimal("00 45 00 " + fields));
}

std::string nested(int depth) {
    std::string fields;
    for (int i = 0; i < depth; ++i) {
        fields += "61 00 98 01 ";
    }
    return event_of(fields + "61 00 04");
}

INSTANTIATE_TEST_SUITE_P(
    Each, BrokenEvents,
    testing::Values(
        Broken{"empty", "", "", "has metadata that does not begin with its own size"},
        Broken{"size too large", hexadecimal("05 00 00 00"), "",
               "has metadata that does not begin with its own size"},
        Broken{"size too small", hexadecimal("04 00 00 45 00"), "",
               "has metadata that does not begin with its own size"},
        Broken{"name without end", with_size(hexadecimal("00 45")), "",
               "has a name that does not end"},
        Broken{"tags without end", with_size(hexadecimal("80 80")), "",
               "has a name that does not end"},
        Broken{"no name", with_size(hexadecimal("00 00")), "", "has no name"},
        Broken{"field name without end", event_of("66"), "", ": has a name that does not end"},
        Broken{"no type", event_of("66 00"), "", "f: has no type: the metadata ends"},
        Broken{"no Out byte", event_of("66 00 84"), "", "f: is cut off: the metadata ends"},
        Broken{"no tags", event_of("66 00 84 80"), "", "f: is cut off: the metadata ends"},
        Broken{"no length", event_of("66 00 24 01"), "", "f: is cut off: the metadata ends"},
        Broken{"schema too long", event_of("66 00 64 05 00 AA"), "",
               "f: is cut off: the metadata ends"},
        Broken{"type 0", event_of("66 00 00"), "", "f: has a type that does not exist"},
        Broken{"type 31", event_of("66 00 1F"), "", "f: has a type that does not exist"},
        Broken{"structure of nothing", event_of("66 00 98 00"), "",
               "f: is a structure without members"},
        Broken{"structure without Out byte", event_of("66 00 18"), "",
               "f: is a structure without members"},
        Broken{"structure of more than there is", event_of("66 00 98 02 61 00 04"),
               hexadecimal("01"), ": has a name that does not end"},
        Broken{"array of nothing", event_of("66 00 24 00 00"), "", "f: is an array of no elements"},
        Broken{"array of binary", event_of("66 00 4E"), "",
               "f: is an array of binary data, which readers do not know"},
        Broken{"structure of its own form", event_of("66 00 F8 01 00 00"), "",
               "f: is a structure with a form of its own"},
        Broken{"nested too deep", nested(20), hexadecimal("01"),
               "a: is a structure nested too deep"},
        Broken{"too little data", event_of("66 00 08"), hexadecimal("01 02 03"),
               "f: has a value that goes beyond the event's data"},
        Broken{"too much data", event_of("66 00 04"), hexadecimal("01 02"),
               "has more data than its fields take"},
        Broken{"text without end", event_of("66 00 02"), hexadecimal("41 42"),
               "f: has a value that goes beyond the event's data"},
        Broken{"wide text without end", event_of("66 00 01"), hexadecimal("41 00 00"),
               "f: has a value that goes beyond the event's data"},
        Broken{"lying count", event_of("66 00 44"), hexadecimal("FF FF 01"),
               "f: has a value that goes beyond the event's data"},
        Broken{"no count", event_of("66 00 44"), hexadecimal("01"),
               "f: has a value that goes beyond the event's data"},
        Broken{"lying size", event_of("66 00 0E"), hexadecimal("05 00 01"),
               "f: has a value that goes beyond the event's data"},
        Broken{"lying size of its own form", event_of("66 00 64 00 00"), hexadecimal("05 00 01"),
               "f: has a value that goes beyond the event's data"},
        Broken{"short SID", event_of("66 00 13"), hexadecimal("01 02 00 00 00 00 00 05 12"),
               "f: has a value that goes beyond the event's data"},
        Broken{"short GUID", event_of("66 00 0F"), hexadecimal("01"),
               "f: has a value that goes beyond the event's data"}));

// Cut anywhere, it is told; nothing is read behind the end (AddressSanitizer looks).
TEST(Decoder, ATruncatedEventIsAlwaysTold) {
    for (std::size_t bytes = 0; bytes < example_metadata.size(); ++bytes) {
        EXPECT_NE(decoded(example_metadata.substr(0, bytes), example_data).problem, "") << bytes;
    }
    for (std::size_t bytes = 0; bytes < example_data.size(); ++bytes) {
        EXPECT_NE(decoded(example_metadata, example_data.substr(0, bytes)).problem, "") << bytes;
    }
}

TEST(ProviderTraits, AreASizeANameAndMore) {
    const auto name_of = [](const std::string& text) {
        const std::string bytes = hexadecimal(text);
        const auto name = provider_name(std::as_bytes(std::span{bytes}));
        return std::string{name ? *name : name.error()};
    };
    EXPECT_EQ(name_of("06 00 4C 61 62 00"), "Lab");
    EXPECT_EQ(name_of("0B 00 4C 61 62 00 05 00 01 AA BB"), "Lab");
    EXPECT_EQ(name_of("07 00 4C 61 62 00"), "do not begin with their own size");
    EXPECT_EQ(name_of("05 00 4C 61 62"), "have a name that does not end");
    EXPECT_EQ(name_of("09 00 4C 61 62 00 05 00 01"), "hold a trait whose size is wrong");
    EXPECT_EQ(name_of("09 00 4C 61 62 00 02 00 01"), "hold a trait whose size is wrong");
}

}  // namespace
}  // namespace hvp::lab::etw
