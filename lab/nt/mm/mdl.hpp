// MDL: which page frames a buffer consists of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lab/nt/mm/layout.hpp"

namespace hvp::lab::mm {

/// [Windows: MDL structure] The frames' numbers follow it.
struct Mdl {
    Mdl* next{};
    std::int16_t size{};
    std::int16_t flags{};
    std::uint32_t unused{};
    void* process{};
    std::uint64_t mapped_system_va{};
    std::uint64_t start_va{};  ///< of the first page
    std::uint32_t byte_count{};
    std::uint32_t byte_offset{};

    [[nodiscard]] std::uint64_t address() const { return start_va + byte_offset; }
    [[nodiscard]] std::span<std::uint64_t> frames() {
        return {reinterpret_cast<std::uint64_t*>(this + 1), pages_for(byte_offset + byte_count)};
    }
    [[nodiscard]] bool has(std::int16_t wanted) const { return (flags & wanted) != 0; }
};
static_assert(sizeof(Mdl) == 0x30);
static_assert(offsetof(Mdl, mapped_system_va) == 0x18);
static_assert(offsetof(Mdl, byte_count) == 0x28);

/// Its flags.
inline constexpr std::int16_t mdl_mapped = 0x0001;
inline constexpr std::int16_t mdl_locked = 0x0002;
inline constexpr std::int16_t mdl_of_nonpaged_pool = 0x0004;
inline constexpr std::int16_t mdl_partial = 0x0010;
inline constexpr std::int16_t mdl_for_writing = 0x0080;

/// Reports MDLs whose pages the driver has left locked, and removes their records.
void report_locked_pages();

}  // namespace hvp::lab::mm
