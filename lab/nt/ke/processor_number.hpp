// How drivers name processors. All are in group 0, so that a number is also an index.
#pragma once

#include <cstdint>

namespace hvp::lab::ke {

/// [Windows: PROCESSOR_NUMBER]
struct ProcessorNumber {
    std::uint16_t group{};
    std::uint8_t number{};
    std::uint8_t reserved{};
};

/// [Windows: GROUP_AFFINITY]
struct GroupAffinity {
    std::uint64_t mask{};
    std::uint16_t group{};
    std::uint16_t reserved[3]{};
};

}  // namespace hvp::lab::ke
