// Which logical processors: of an INVEPT that is pending, for instance.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace hvp::arch {

/// A set of logical processors, by their numbers. Windows counts them through all its groups of 64.
/// [Windows: Processor Groups]
class ProcessorSet {
public:
    static constexpr std::uint32_t most = 512;

    constexpr ProcessorSet() = default;
    /// Needs    a number below `most`
    [[nodiscard]] static constexpr ProcessorSet only(std::uint32_t number) {
        ProcessorSet set;
        set.words_[number / bits_of_word] = bit_of(number);
        return set;
    }
    [[nodiscard]] constexpr bool has(std::uint32_t number) const {
        return (words_[number / bits_of_word] & bit_of(number)) != 0;
    }
    [[nodiscard]] constexpr bool empty() const {
        return std::ranges::all_of(words_, [](std::uint64_t word) { return word == 0; });
    }
    [[nodiscard]] constexpr ProcessorSet without(ProcessorSet other) const {
        ProcessorSet set;
        for (std::size_t i = 0; i < words_.size(); ++i) {
            set.words_[i] = words_[i] & ~other.words_[i];
        }
        return set;
    }
    friend constexpr ProcessorSet operator|(ProcessorSet a, ProcessorSet b) {
        ProcessorSet set;
        for (std::size_t i = 0; i < set.words_.size(); ++i) {
            set.words_[i] = a.words_[i] | b.words_[i];
        }
        return set;
    }
    friend constexpr bool operator==(const ProcessorSet&, const ProcessorSet&) = default;

private:
    static constexpr std::uint32_t bits_of_word = 64;
    [[nodiscard]] static constexpr std::uint64_t bit_of(std::uint32_t number) {
        return 1ULL << number % bits_of_word;
    }

    std::array<std::uint64_t, most / bits_of_word> words_{};
};

}  // namespace hvp::arch
