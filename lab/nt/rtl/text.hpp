// Text in a buffer of fixed size: what does not fit is dropped, and the writer records that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace hvp::lab::rtl {

/// Appends to a buffer that it does not own.
class TextWriter {
public:
    constexpr explicit TextWriter(std::span<char> room) : room_{room} {}

    constexpr TextWriter& put(char character) {
        if (used_ < room_.size()) {
            room_[used_++] = character;
        } else {
            truncated_ = true;
        }
        return *this;
    }

    constexpr TextWriter& put(std::string_view text) {
        for (const char character : text) {
            put(character);
        }
        return *this;
    }

    /// `0x` and at least `digits` hexadecimal digits.
    constexpr TextWriter& hex(std::uint64_t value, unsigned digits = 1) {
        put("0x");
        unsigned shift = 64;
        while (shift > 4 && value >> (shift - 4) == 0 && shift / 4 > digits) {
            shift -= 4;
        }
        while (shift != 0) {
            shift -= 4;
            put("0123456789abcdef"[value >> shift & 15]);
        }
        return *this;
    }

    constexpr TextWriter& decimal(std::uint64_t value) {
        if (value >= 10) {
            decimal(value / 10);
        }
        return put(static_cast<char>('0' + value % 10));
    }

    constexpr void clear() {
        used_ = 0;
        truncated_ = false;
    }

    [[nodiscard]] constexpr std::string_view view() const { return {room_.data(), used_}; }
    [[nodiscard]] constexpr bool truncated() const { return truncated_; }

private:
    std::span<char> room_;
    std::size_t used_{};
    bool truncated_{};
};

/// Text together with its buffer; a value that can be copied.
template <std::size_t capacity>
class Text {
public:
    constexpr Text() = default;
    constexpr explicit Text(std::string_view text) { put(text); }

    constexpr Text& put(std::string_view text) {
        return append([&](TextWriter& writer) { writer.put(text); });
    }
    constexpr Text& hex(std::uint64_t value, unsigned digits = 1) {
        return append([&](TextWriter& writer) { writer.hex(value, digits); });
    }
    constexpr Text& decimal(std::uint64_t value) {
        return append([&](TextWriter& writer) { writer.decimal(value); });
    }

    [[nodiscard]] constexpr std::string_view view() const { return {characters_.data(), used_}; }

private:
    template <typename Step>
    constexpr Text& append(Step step) {
        TextWriter writer{std::span{characters_}.subspan(used_)};
        step(writer);
        used_ += writer.view().size();
        return *this;
    }

    std::array<char, capacity> characters_{};
    std::size_t used_{};
};

/// A sentence for people: what, why, what to do.
using Sentence = Text<240>;

}  // namespace hvp::lab::rtl
