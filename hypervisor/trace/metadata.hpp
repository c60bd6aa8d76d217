// The bytes of TraceLogging: types, levels, descriptors, and the metadata that the compiler writes.
//
// Source   [Windows: TraceLoggingProvider.h], Microsoft's own encoder, which is public
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace hvp::trace {

// ---- What the format knows --------------------------------------------------------------------

/// How a value lies in memory.  [Windows: TraceLoggingProvider.h]
enum class In : std::uint8_t {
    ansi_string = 2,
    int8 = 3,
    uint8 = 4,
    int16 = 5,
    uint16 = 6,
    int32 = 7,
    uint32 = 8,
    int64 = 9,
    uint64 = 10,
    bool32 = 13,
    hex_int32 = 20,
    hex_int64 = 21,
};

/// How a reader should show it; `normal` is the default of the In type.
enum class Out : std::uint8_t {
    normal = 0,
    boolean = 3,
    hexadecimal = 4,
    win32_error = 13,
    ntstatus = 14,
    utf8 = 35,
    code_pointer = 37,
};

/// [Windows: EVENT_DESCRIPTOR]
enum class Level : std::uint8_t {
    always = 0,
    critical = 1,
    error = 2,
    warning = 3,
    information = 4,
    verbose = 5,
};

/// [Windows: EVENT_DESCRIPTOR] Channel 11 means that the event describes itself, and that its
/// number has no meaning.
struct EventDescriptor {
    std::uint16_t id{};
    std::uint8_t version{};
    std::uint8_t channel{11};
    Level level{};
    std::uint8_t opcode{};
    std::uint16_t task{};
    std::uint64_t keyword{};
};
static_assert(sizeof(EventDescriptor) == 16);

enum class PieceType : std::uint8_t { data = 0, event_metadata = 1, provider_metadata = 2 };

/// One piece of an event.  [Windows: EVENT_DATA_DESCRIPTOR]
struct DataDescriptor {
    std::uint64_t address{};
    std::uint32_t bytes{};
    PieceType type{};
    std::uint8_t reserved1{};
    std::uint16_t reserved2{};
};
static_assert(sizeof(DataDescriptor) == 16);

/// Text as an argument of a template, with its end mark.
template <std::size_t size>
struct Name {
    // NOLINTNEXTLINE(google-explicit-constructor): Event<"VmExit"> is the point of it
    consteval Name(const char (&literal)[size]) { std::copy_n(literal, size, text.begin()); }
    std::array<char, size> text{};
};

// ---- Metadata ---------------------------------------------------------------------------------

/// Bytes that the compiler writes one after the other; the first two hold their number.
class Metadata {
public:
    constexpr Metadata& byte(unsigned value) {
        bytes_[size_++] = static_cast<std::uint8_t>(value);
        return *this;
    }
    constexpr Metadata& word(unsigned value) { return byte(value & 0xFF).byte(value >> 8); }

    template <std::size_t length>
    constexpr Metadata& name(const Name<length>& name) {
        for (const char character : name.text) {
            byte(static_cast<std::uint8_t>(character));
        }
        return *this;
    }

    /// 28 bits that mean what the provider wants: seven to a byte, highest first, and bit 7 means
    /// that another byte follows. Zeros at the end are left out.
    constexpr Metadata& tag(std::uint32_t tag) {
        for (std::uint32_t rest = tag;; rest = rest << 7 & 0x0FFF'FFFF) {
            const bool more = (rest & 0x1F'FFFF) != 0;
            byte(rest >> 21 | (more ? 0x80U : 0U));
            if (!more) {
                return *this;
            }
        }
    }

    [[nodiscard]] constexpr std::size_t size() const { return size_; }

    template <std::size_t size>
    [[nodiscard]] constexpr std::array<std::uint8_t, size> finished() const {
        std::array<std::uint8_t, size> exact{};
        std::copy_n(bytes_.begin(), size, exact.begin());
        exact[0] = static_cast<std::uint8_t>(size & 0xFF);
        exact[1] = static_cast<std::uint8_t>(size >> 8);
        return exact;
    }

private:
    std::array<std::uint8_t, 1024> bytes_{};
    std::size_t size_{2};
};

/// What goes with every event of the provider, and to EtwSetInformation.
/// [Windows: Provider Traits] Ours has no trait but its name.
template <Name name>
inline constexpr auto provider_metadata = [] {
    constexpr std::size_t size = Metadata{}.name(name).size();
    return Metadata{}.name(name).template finished<size>();
}();

}  // namespace hvp::trace
