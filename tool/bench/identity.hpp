// The part of `bench ept` about a map of all memory and its views.
#pragma once

#include <filesystem>
#include <optional>

#include "tool/base/repository.hpp"
#include "tool/bench/costs.hpp"

namespace hvp::tool {

/// What bench/identity.cpp has found out on this computer: an array, one element for each machine
/// and size of pages.
///
/// Returns  nullopt: it failed, and that has been said
[[nodiscard]] std::optional<Json> identity_costs(const Repository& repository);

/// What an EPT violation costs in a run of the stage `ept-identity`, or of that stage without a
/// trace, from exit to VM entry, by the view that the processor is in afterwards: "data", "code",
/// "step"; and what the exit after the single step costs, "step ends".
///
/// Returns  nullopt: the run failed, and that has been said
[[nodiscard]] std::optional<Costs> view_costs(const Repository& repository, const char* driver,
                                              const std::filesystem::path& folder);

struct ViewCosts {
    Costs untraced;
    Costs traced;
};

/// Appends to `results`.
void add_identity(Json& results, const Json& identities, const ViewCosts& views);

void print_identity(const Json& identities, const ViewCosts& views);

}  // namespace hvp::tool
