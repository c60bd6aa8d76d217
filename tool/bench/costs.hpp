// Figures of a benchmark in the emulator: from its driver's run to numbers and their text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tool/record/event.hpp"

namespace hvp::tool {

/// What one thing took, each time that it was done.
struct Cost {
    std::vector<std::uint64_t> sorted;

    [[nodiscard]] std::uint64_t min() const { return sorted.front(); }
    [[nodiscard]] std::uint64_t median() const { return sorted[sorted.size() / 2]; }
    [[nodiscard]] std::uint64_t max() const { return sorted.back(); }
};
/// By the name of the thing.
using Costs = std::map<std::string, Cost>;

/// Runs the driver under a service name in the default machine; its runs stay in `folder`.
///
/// Returns  the events of that run; nullopt: it failed, and has said why
[[nodiscard]] std::optional<std::vector<Json>> run_bench_driver(
    const std::filesystem::path& driver, const std::string& service,
    const std::filesystem::path& folder);

/// Instructions from each exit to the VM entry that follows it, by the processor's log.
[[nodiscard]] Costs exit_costs(const std::vector<Json>& events);

/// Sorts the figures of each thing, which may have come in any order.
void sort(Costs& costs);

/// An element of `results`.
[[nodiscard]] Json as_json(const std::string& name, const char* unit, const Cost& cost);

/// One figure where all are equal, else the least and the greatest.
[[nodiscard]] std::string cost_text(const Cost& cost);

/// The machine of `run_bench_driver`.
[[nodiscard]] std::string bench_machine();

}  // namespace hvp::tool
