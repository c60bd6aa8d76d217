// Which logical processors: of an INVEPT that is pending, for instance.
#pragma once

#include <cstdint>

namespace hvp::arch {

/// A set of logical processors, by their numbers, up to 64.
class ProcessorSet {
public:
    constexpr ProcessorSet() = default;
    [[nodiscard]] static constexpr ProcessorSet only(std::uint32_t number) {
        return ProcessorSet{1ULL << number};
    }
    [[nodiscard]] constexpr bool has(std::uint32_t number) const {
        return (mask_ >> number & 1) != 0;
    }
    [[nodiscard]] constexpr bool empty() const { return mask_ == 0; }
    [[nodiscard]] constexpr std::uint64_t mask() const { return mask_; }
    [[nodiscard]] constexpr ProcessorSet without(ProcessorSet other) const {
        return ProcessorSet{mask_ & ~other.mask_};
    }
    friend constexpr ProcessorSet operator|(ProcessorSet a, ProcessorSet b) {
        return ProcessorSet{a.mask_ | b.mask_};
    }
    friend constexpr bool operator==(ProcessorSet, ProcessorSet) = default;

private:
    constexpr explicit ProcessorSet(std::uint64_t mask) : mask_{mask} {}
    std::uint64_t mask_{};
};

}  // namespace hvp::arch
