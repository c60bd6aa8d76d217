// Numbers that are the same for the same seed: Marsaglia's xorshift.
#pragma once

#include <cstdint>

namespace hvp::tests {

class Random {
public:
    explicit Random(std::uint64_t seed) : state_{seed | 1} {}
    std::uint64_t operator()() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_;
    }
    std::uint64_t below(std::uint64_t end) { return (*this)() % end; }
    /// An address that every processor takes: 47 bits.
    std::uint64_t address() { return (*this)() >> 17; }

private:
    std::uint64_t state_;
};

}  // namespace hvp::tests
