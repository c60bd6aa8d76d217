// The GUID of an event provider, computed from its name.
//
// Tools find a provider by its GUID. One that follows from the name need not be registered
// anywhere, and whoever knows the name knows it: tracelog and WPR take `*HVPlayground`.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hvp::trace {

/// [Windows: GUID structure] The first three parts are numbers, low byte first.
struct Guid {
    std::uint32_t data1{};
    std::uint16_t data2{};
    std::uint16_t data3{};
    std::array<std::uint8_t, 8> data4{};

    friend constexpr bool operator==(const Guid&, const Guid&) = default;
};
static_assert(sizeof(Guid) == 16);

using Sha1 = std::array<std::uint8_t, 20>;

/// SHA-1 of a message of up to 119 bytes: two blocks.  [FIPS 180-4, section 6.1]
[[nodiscard]] constexpr Sha1 sha1(std::string_view message);

/// Returns  the GUID that TraceLogging gives to a provider of this name.
/// Source   [Windows: TRACELOGGING_DEFINE_PROVIDER] says that it is a hash of the name;
/// EventSource,
///          whose sources are public, has the same rule.
[[nodiscard]] constexpr Guid provider_guid(std::string_view name) {
    // The name space of the rule, then the name in capitals, two bytes a character, high one first.
    constexpr std::array<std::uint8_t, 16> name_space{0x48, 0x2C, 0x2D, 0xB2, 0xC3, 0x90,
                                                      0x47, 0xC8, 0x87, 0xF8, 0x1A, 0x15,
                                                      0xBF, 0xC1, 0x30, 0xFB};
    std::array<char, 119> message{};
    std::size_t used = 0;
    for (const std::uint8_t byte : name_space) {
        message[used++] = static_cast<char>(byte);
    }
    for (const char character : name) {
        const bool small = character >= 'a' && character <= 'z';
        message[used++] = '\0';
        message[used++] = static_cast<char>(small ? character - 'a' + 'A' : character);
    }
    const Sha1 hash = sha1({message.data(), used});
    const auto word = [&](std::size_t at) { return hash[at] | hash[at + 1] << 8; };
    Guid guid{.data1 = static_cast<std::uint32_t>(word(0)) | static_cast<std::uint32_t>(word(2))
                                                                 << 16,
              .data2 = static_cast<std::uint16_t>(word(4)),
              .data3 = static_cast<std::uint16_t>((word(6) & 0x0FFF) | 0x5000)};
    for (std::size_t i = 0; i < guid.data4.size(); ++i) {
        guid.data4[i] = hash[8 + i];
    }
    return guid;
}

// ---- SHA-1 ------------------------------------------------------------------------------------

namespace sha1_parts {

using State = std::array<std::uint32_t, 5>;
using Block = std::array<std::uint8_t, 64>;

constexpr std::uint32_t mixed(std::size_t round, const State& s) {
    if (round < 20) {
        return ((s[1] & s[2]) | (~s[1] & s[3])) + 0x5A82'7999;
    }
    if (round < 40) {
        return (s[1] ^ s[2] ^ s[3]) + 0x6ED9'EBA1;
    }
    if (round < 60) {
        return ((s[1] & s[2]) | (s[1] & s[3]) | (s[2] & s[3])) + 0x8F1B'BCDC;
    }
    return (s[1] ^ s[2] ^ s[3]) + 0xCA62'C1D6;
}

constexpr void add(State& state, const Block& block) {
    std::array<std::uint32_t, 80> words{};
    for (std::size_t i = 0; i < block.size(); ++i) {
        words[i / 4] = words[i / 4] << 8 | block[i];
    }
    for (std::size_t i = 16; i < words.size(); ++i) {
        words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    }
    State s = state;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::uint32_t next = std::rotl(s[0], 5) + mixed(i, s) + s[4] + words[i];
        s = {next, s[0], std::rotl(s[1], 30), s[2], s[3]};
    }
    for (std::size_t i = 0; i < state.size(); ++i) {
        state[i] += s[i];
    }
}

}  // namespace sha1_parts

constexpr Sha1 sha1(std::string_view message) {
    // The message, a one bit, zeros, and in the last eight bytes the length in bits.
    std::array<std::uint8_t, 128> padded{};
    for (std::size_t i = 0; i < message.size(); ++i) {
        padded[i] = static_cast<std::uint8_t>(message[i]);
    }
    padded[message.size()] = 0x80;
    const std::size_t blocks = message.size() + 9 <= 64 ? 1 : 2;
    const std::size_t bits = message.size() * 8;
    padded[64 * blocks - 2] = static_cast<std::uint8_t>(bits >> 8);
    padded[64 * blocks - 1] = static_cast<std::uint8_t>(bits);

    sha1_parts::State state{0x6745'2301, 0xEFCD'AB89, 0x98BA'DCFE, 0x1032'5476, 0xC3D2'E1F0};
    for (std::size_t i = 0; i < blocks; ++i) {
        sha1_parts::Block block{};
        for (std::size_t j = 0; j < block.size(); ++j) {
            block[j] = padded[64 * i + j];
        }
        sha1_parts::add(state, block);
    }
    Sha1 hash{};
    for (std::size_t i = 0; i < hash.size(); ++i) {
        hash[i] = static_cast<std::uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
    }
    return hash;
}

}  // namespace hvp::trace
