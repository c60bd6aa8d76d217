// Whatever our encoder writes, the lab's decoder reads: two programs that share no code.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "hypervisor/trace/tracelogging.hpp"
#include "tests/unit/trace/decoded.hpp"
#include "tests/unit/trace/written.hpp"

namespace hvp::trace {
namespace {

using lab::etw::Decoded;
using nlohmann::json;

template <typename TheEvent, typename... Values>
Decoded round_trip(Values... values) {
    static_assert(TheEvent::template takes<Values...>);
    const auto slots = TheEvent::slots(values...);
    const Written event = written(TheEvent::layout, slots);
    return lab::etw::decoded(std::as_bytes(std::span{event.metadata}),
                             std::as_bytes(std::span{event.data}));
}

std::string hexadecimal(std::uint64_t value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value));
    return text.data();
}

using Numbers = Event<"Numbers", {.tag = 5}, Field<"i8", In::int8>, Field<"u8", In::uint8>,
                      Field<"i16", In::int16>, Field<"u16", In::uint16, Out::normal, 77>,
                      Field<"i32", In::int32>, UInt32<"u32">, Field<"i64", In::int64>,
                      UInt64<"u64">, HexInt32<"h32">, HexInt64<"h64">, Field<"yes", In::bool32>,
                      Field<"flag", In::uint8, Out::boolean>>;

RC_GTEST_PROP(RoundTrip, NumbersOfEachSize,
              (std::int8_t i8, std::uint8_t u8, std::int16_t i16, std::uint16_t u16,
               std::int32_t i32, std::uint32_t u32, std::int64_t i64, std::uint64_t u64)) {
    const Decoded event =
        round_trip<Numbers>(i8, u8, i16, u16, i32, u32, i64, u64, u32, u64, i32, u8);
    RC_ASSERT(event.problem.empty());
    RC_ASSERT(event.name == "Numbers");
    RC_ASSERT(event.fields == json({{"i8", i8},
                                    {"u8", u8},
                                    {"i16", i16},
                                    {"u16", u16},
                                    {"i32", i32},
                                    {"u32", u32},
                                    {"i64", i64},
                                    {"u64", u64},
                                    {"h32", hexadecimal(u32)},
                                    {"h64", hexadecimal(u64)},
                                    {"yes", i32 != 0},
                                    {"flag", u8 != 0}}));
}

using Texts = Event<"Texts", {}, Text<"first">, UInt32<"between">, Text<"second">>;

RC_GTEST_PROP(RoundTrip, Texts, (std::uint32_t between)) {
    const auto text = rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127));
    const std::string first = *text;
    const std::string second = *text;
    const Decoded event = round_trip<Texts>(first.c_str(), between, second.c_str());
    RC_ASSERT(event.problem.empty());
    RC_ASSERT(event.fields == json({{"first", first}, {"between", between}, {"second", second}}));
}

using Three = std::array<std::int16_t, 3>;
using Arrays = Event<"Arrays", {}, FixedArray<"three", In::int16, 3>, Array<"words", In::uint32>,
                     Array<"addresses", In::hex_int64>, UInt32<"last">>;

RC_GTEST_PROP(RoundTrip, ArraysOfEachLength,
              (Three three, std::vector<std::uint32_t> words, std::vector<std::uint64_t> addresses,
               std::uint32_t last)) {
    const Decoded event = round_trip<Arrays>(std::span<const std::int16_t, 3>{three},
                                             std::span<const std::uint32_t>{words},
                                             std::span<const std::uint64_t>{addresses}, last);
    RC_ASSERT(event.problem.empty());
    json shown = json::array();
    for (const std::uint64_t address : addresses) {
        shown.push_back(hexadecimal(address));
    }
    RC_ASSERT(event.fields ==
              json({{"three", three}, {"words", words}, {"addresses", shown}, {"last", last}}));
}

// A byte of the description changed: the reader may see another event, or tell what is wrong; it
// never reads beyond it.
RC_GTEST_PROP(RoundTrip, ChangedBytesDoNoHarm, (std::uint64_t value)) {
    const auto slots = Texts::slots("one", static_cast<std::uint32_t>(value), "two");
    Written event = written(Texts::layout, slots);
    auto& bytes = value % 2 == 0 ? event.metadata : event.data;
    bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = *rc::gen::arbitrary<std::uint8_t>();
    static_cast<void>(lab::etw::decoded(std::as_bytes(std::span{event.metadata}),
                                        std::as_bytes(std::span{event.data})));
}

}  // namespace
}  // namespace hvp::trace
