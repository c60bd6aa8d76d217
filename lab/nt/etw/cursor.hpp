// Takes bytes from the front of untrusted memory, and never more than there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace hvp::lab::etw {

using Bytes = std::span<const std::byte>;

class Cursor {
public:
    constexpr explicit Cursor(Bytes bytes) : rest_{bytes} {}

    [[nodiscard]] Bytes rest() const { return rest_; }
    [[nodiscard]] bool at_end() const { return rest_.empty(); }

    std::optional<Bytes> take(std::size_t count) {
        if (count > rest_.size()) {
            return std::nullopt;
        }
        const Bytes taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }

    /// An unsigned number, low byte first.
    std::optional<std::uint64_t> number(std::size_t bytes) {
        const auto taken = take(bytes);
        if (!taken) {
            return std::nullopt;
        }
        std::uint64_t value = 0;
        for (std::size_t i = bytes; i-- > 0;) {
            value = value << 8 | std::to_integer<std::uint64_t>((*taken)[i]);
        }
        return value;
    }

    /// The bytes before a terminator of `width` zero bytes at a multiple of `width`; the terminator
    /// is taken too.
    std::optional<Bytes> until_zero(std::size_t width) {
        for (std::size_t at = 0; at + width <= rest_.size(); at += width) {
            if (*Cursor{rest_.subspan(at)}.number(width) == 0) {
                const Bytes taken = rest_.first(at);
                rest_ = rest_.subspan(at + width);
                return taken;
            }
        }
        return std::nullopt;
    }

private:
    Bytes rest_;
};

/// The bytes as text.
[[nodiscard]] inline std::string_view text_of(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace hvp::lab::etw
