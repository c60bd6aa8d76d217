// A VM entry that failed in a run: what the driver recorded, explained.
#pragma once

#include <optional>
#include <string>

#include "tool/base/repository.hpp"
#include "tool/explain/explanation.hpp"
#include "tool/record/timeline.hpp"

namespace hvp::tool {

/// What the run's folder and its summary keep of it.
struct EntryFailure {
    std::string dump;  ///< vmcs.txt
    std::string text;  ///< the explanation, for the terminal and story.txt
    Json json;         ///< the same as `explain --json`
};

/// Returns  nothing when no VM entry failed, or the driver did not record the VMCS
///
/// `stage`: whose sources set the fields; empty for a driver that is no stage's
[[nodiscard]] std::optional<EntryFailure> explain_entry_failure(const Timeline& timeline,
                                                                const Repository& repository,
                                                                const std::string& stage,
                                                                const std::string& model,
                                                                std::size_t width);

/// Returns  where our sources write the field: `stages/launch/driver.cpp:271`, the stage's own
///          places first; empty when nothing does, and for a driver that is no stage's
[[nodiscard]] std::string where_set(Item item, const Repository& repository,
                                    const std::string& stage);

}  // namespace hvp::tool
