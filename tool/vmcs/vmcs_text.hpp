// A recorded VMCS for people: by the SDM's groups, decoded, with what has changed.
#pragma once

#include <cstddef>
#include <string>

#include "tool/explain/model_processor.hpp"
#include "tool/record/event.hpp"
#include "tool/replay/recorded_state.hpp"

namespace hvp::tool {

struct VmcsTextStyle {
    const ModelProcessor* processor = nullptr;  ///< whose capability MSRs force bits; null: unknown
    bool all_fields = false;                    ///< those that are 0, too
};

/// Returns  the state with each field's value in words; `*` marks what differs from `before`, which
///          may be null
[[nodiscard]] std::string vmcs_text(const RecordedState& state, const RecordedState* before,
                                    const VmcsTextStyle& style);

/// Returns  only what differs: before, after
[[nodiscard]] std::string vmcs_difference(const RecordedState& from, const RecordedState& to);

/// Returns  the state as JSON, with the fields' names and words
[[nodiscard]] Json vmcs_json(const RecordedState& state, const RecordedState* before);

}  // namespace hvp::tool
