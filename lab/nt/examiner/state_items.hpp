// What the examiner compares: name, how to read it, how to restore it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace hvp::lab::examiner {

/// One number of the processor's state.
struct StateItem {
    std::string_view name{};
    std::optional<std::uint64_t> (*read)(){};  ///< nothing: this processor does not have it
    void (*restore)(std::uint64_t before){};
};

/// Control registers and the registers of the descriptor tables: restored before the tables'
/// content.
[[nodiscard]] std::span<const StateItem> table_items();

/// Everything else, in an order in which it can be restored: selectors before bases.
[[nodiscard]] std::span<const StateItem> register_items();

/// MSRs of the memory types, by index from 0; nothing after the last one.
[[nodiscard]] std::optional<std::uint32_t> memory_type_msr(std::size_t number);

}  // namespace hvp::lab::examiner
