// TraceLogging: events that carry their own description, so that a reader needs no manifest.
//
// An event travels as pieces of memory: what the provider is called (provider metadata), what the
// event is called and which fields of which types it has (event metadata), then the values, one
// after the other. The first two are constant: the compiler makes them. A program that writes an
// event fills in the values and passes the addresses of the pieces to the event sink.
//
//     using VmExit = Event<"VmExit", {.level = Level::verbose, .keyword = 1},
//                          Text<"reason">, HexInt64<"guest_rip">>;
//     provider.write<VmExit>("HLT", guest_rip);
//
// A value must have exactly its field's type: a number that were silently made wider or narrower
// would move all that follow. The format is Microsoft's; its own encoder, TraceLoggingProvider.h,
// is public. Left out: structs and wide text, which nothing here needs.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "hypervisor/trace/metadata.hpp"

namespace hvp::trace {

// ---- Values -----------------------------------------------------------------------------------

/// Where a piece of an event's data comes from, and how long it is.
///
/// The values of an event are put in an array of 64-bit slots first. So all events share one
/// routine that makes descriptors, instead of each having its own: a driver stays small.
struct Piece {
    enum class From : std::uint16_t {
        slot,          ///< the low bytes of the slot
        text,          ///< the slot holds its address; it ends with a zero, which belongs to it
        memory,        ///< the slot holds its address
        counted_array  ///< the same; `bytes` times the number in the previous slot
    };
    From from : 2 {};
    std::uint16_t bytes : 14 {};
};
static_assert(sizeof(Piece) == 2);

/// The type of a value in C++.
template <In in>
struct ValueOf;
template <>
struct ValueOf<In::ansi_string> : std::type_identity<const char*> {};
template <>
struct ValueOf<In::int8> : std::type_identity<std::int8_t> {};
template <>
struct ValueOf<In::uint8> : std::type_identity<std::uint8_t> {};
template <>
struct ValueOf<In::int16> : std::type_identity<std::int16_t> {};
template <>
struct ValueOf<In::uint16> : std::type_identity<std::uint16_t> {};
template <>
struct ValueOf<In::int32> : std::type_identity<std::int32_t> {};
template <>
struct ValueOf<In::uint32> : std::type_identity<std::uint32_t> {};
template <>
struct ValueOf<In::int64> : std::type_identity<std::int64_t> {};
template <>
struct ValueOf<In::uint64> : std::type_identity<std::uint64_t> {};
template <>
struct ValueOf<In::bool32> : std::type_identity<std::int32_t> {};
template <>
struct ValueOf<In::hex_int32> : std::type_identity<std::uint32_t> {};
template <>
struct ValueOf<In::hex_int64> : std::type_identity<std::uint64_t> {};

template <typename T>
[[nodiscard]] std::uint64_t slot_of(T value) {
    if constexpr (std::is_pointer_v<T>) {
        return reinterpret_cast<std::uint64_t>(value);
    } else {
        return static_cast<std::uint64_t>(value);
    }
}

// ---- Fields -----------------------------------------------------------------------------------

/// How often a field has its value; the numbers are the format's.
enum class Count : std::uint8_t { one = 0, fixed = 0x20, variable = 0x40 };

/// Name and types of a field, as its part of the metadata. `length` is that of a fixed array.
template <Count count, In in, Name field_name, Out out, std::uint32_t tag, std::uint16_t length = 0>
constexpr void describe_field(Metadata& metadata) {
    constexpr unsigned more = 0x80;
    constexpr bool has_out = out != Out::normal || tag != 0;
    metadata.name(field_name);
    metadata.byte(std::to_underlying(in) | std::to_underlying(count) | (has_out ? more : 0));
    if constexpr (has_out) {
        metadata.byte(std::to_underlying(out) | (tag != 0 ? more : 0));
    }
    if constexpr (tag != 0) {
        metadata.tag(tag);
    }
    if constexpr (count == Count::fixed) {
        metadata.word(length);
    }
}

/// One value. `Value` is the only type that it takes.
template <Name name, In in, Out out = Out::normal, std::uint32_t tag = 0>
struct Field {
    using Value = typename ValueOf<in>::type;
    static constexpr std::array pieces{in == In::ansi_string
                                           ? Piece{Piece::From::text, 0}
                                           : Piece{Piece::From::slot, sizeof(Value)}};

    static constexpr void describe(Metadata& metadata) {
        describe_field<Count::one, in, name, out, tag>(metadata);
    }
    static void fill(std::uint64_t* slots, Value value) { slots[0] = slot_of(value); }
};

/// An array of a fixed number of values.
template <Name name, In in, std::uint16_t length, Out out = Out::normal, std::uint32_t tag = 0>
    requires(in != In::ansi_string && length > 0)
struct FixedArray {
    using Element = typename ValueOf<in>::type;
    static_assert(sizeof(Element) * length < 1 << 14, "a piece has up to 16,383 bytes");
    using Value = std::span<const Element, length>;
    static constexpr std::array pieces{Piece{Piece::From::memory, sizeof(Element) * length}};

    static constexpr void describe(Metadata& metadata) {
        describe_field<Count::fixed, in, name, out, tag, length>(metadata);
    }
    static void fill(std::uint64_t* slots, Value values) { slots[0] = slot_of(values.data()); }
};

/// As many values as there are this time, up to 65,535: their number goes ahead of them.
template <Name name, In in, Out out = Out::normal, std::uint32_t tag = 0>
    requires(in != In::ansi_string)
struct Array {
    using Element = typename ValueOf<in>::type;
    using Value = std::span<const Element>;
    static constexpr std::array pieces{Piece{Piece::From::slot, sizeof(std::uint16_t)},
                                       Piece{Piece::From::counted_array, sizeof(Element)}};

    static constexpr void describe(Metadata& metadata) {
        describe_field<Count::variable, in, name, out, tag>(metadata);
    }
    static void fill(std::uint64_t* slots, Value values) {
        constexpr std::size_t most = 0xFFFF;
        slots[0] = values.size() < most ? values.size() : most;
        slots[1] = slot_of(values.data());
    }
};

// The fields that most events are made of.
template <Name name>
using Text = Field<name, In::ansi_string>;
template <Name name>
using UInt32 = Field<name, In::uint32>;
template <Name name>
using UInt64 = Field<name, In::uint64>;
template <Name name>
using HexInt32 = Field<name, In::hex_int32>;
template <Name name>
using HexInt64 = Field<name, In::hex_int64>;

// ---- Events -----------------------------------------------------------------------------------

/// What an event is besides its name and fields.
struct Traits {
    Level level{Level::information};
    std::uint64_t keyword{};  ///< one bit for each kind; the upper 16 are Microsoft's
    std::uint8_t opcode{};    ///< 0: information; 1 and 2: something begins, and ends
    std::uint32_t tag{};
};

/// All that a routine which writes events has to know of one.
struct EventLayout {
    EventDescriptor descriptor{};
    const std::uint8_t* metadata{};  ///< begins with its length
    const Piece* pieces{};           ///< one for each slot
};

template <Name name, Traits traits, typename... Fields>
struct Event {
    static_assert(traits.keyword >> 48 == 0, "the upper 16 keywords are Microsoft's");
    static_assert(traits.tag >> 28 == 0, "a tag has 28 bits");
    static constexpr std::size_t piece_count = (std::size_t{0} + ... + Fields::pieces.size());
    using Slots = std::array<std::uint64_t, piece_count>;

    static constexpr auto metadata = [] {
        constexpr auto written = [] {
            Metadata metadata;
            metadata.tag(traits.tag).name(name);
            (Fields::describe(metadata), ...);
            return metadata;
        };
        return written().template finished<written().size()>();
    }();

    static constexpr auto pieces = [] {
        std::array<Piece, piece_count> all{};
        std::size_t used = 0;
        const auto add = [&](const auto& some) {
            for (const Piece piece : some) {
                all[used++] = piece;
            }
        };
        (add(Fields::pieces), ...);
        return all;
    }();

    static constexpr EventLayout layout{
        .descriptor = {.level = traits.level, .opcode = traits.opcode, .keyword = traits.keyword},
        .metadata = metadata.data(),
        .pieces = pieces.data()};

    /// Puts the values in their slots. They are not copied: texts and arrays must live until the
    /// event is written.
    [[nodiscard]] static Slots slots(typename Fields::Value... values) {
        Slots all{};
        [[maybe_unused]] std::uint64_t* next = all.data();
        ((Fields::fill(next, values), next += Fields::pieces.size()), ...);
        return all;
    }

    /// Whether these are the fields' own types, and not such as would be converted to them.
    template <typename... Values>
    static constexpr bool takes = [] {
        if constexpr (sizeof...(Values) == sizeof...(Fields)) {
            return (std::same_as<Values, typename Fields::Value> && ...);
        }
        return false;
    }();
};

/// The pieces of an event, as the event sink takes them: `descriptors` gets two more than there are
/// slots.
///
/// Where    anywhere, also in VMX root operation: it only writes to `descriptors`
inline void describe(std::span<const std::uint8_t> provider, const EventLayout& event,
                     std::span<const std::uint64_t> slots, std::span<DataDescriptor> descriptors) {
    const auto metadata = [](const std::uint8_t* bytes, PieceType type) {
        const std::uint32_t length = bytes[0] | static_cast<std::uint32_t>(bytes[1]) << 8;
        return DataDescriptor{.address = slot_of(bytes), .bytes = length, .type = type};
    };
    descriptors[0] = metadata(provider.data(), PieceType::provider_metadata);
    descriptors[1] = metadata(event.metadata, PieceType::event_metadata);
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const Piece piece = event.pieces[i];
        DataDescriptor& descriptor = descriptors[i + 2];
        descriptor = {.address = slots[i], .bytes = piece.bytes};
        switch (piece.from) {
            case Piece::From::slot:
                descriptor.address = slot_of(&slots[i]);
                break;
            case Piece::From::text: {
                const auto* const text = reinterpret_cast<const char*>(slots[i]);
                while (text[descriptor.bytes++] != '\0') {
                }
                break;
            }
            case Piece::From::memory:
                break;
            case Piece::From::counted_array:
                descriptor.bytes *= static_cast<std::uint32_t>(slots[i - 1]);
                break;
        }
    }
}

}  // namespace hvp::trace
