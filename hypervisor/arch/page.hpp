// A page of memory of our own.
#pragma once

#include <array>
#include <cstddef>

#include "hypervisor/arch/address.hpp"

namespace hvp::arch {

struct alignas(page_bytes) Page {
    std::array<std::byte, page_bytes> bytes{};
};

}  // namespace hvp::arch
