// What one number means: an exit reason, an error, a word of controls, a field.
#pragma once

#include <expected>
#include <string>

#include "tool/base/options.hpp"
#include "tool/explain/model_processor.hpp"
#include "tool/record/event.hpp"

namespace hvp::tool {

/// One number in words.
struct NumberMeaning {
    std::string what;      ///< `exit 48`
    std::string words;     ///< what it means; may have several lines
    std::string citation;  ///< where the manual says so
};

/// Returns  the meanings of all numbers that were asked for, in the order of the options; or what
///          is wrong with one of them
[[nodiscard]] std::expected<std::vector<NumberMeaning>, std::string> meanings(
    const ExplainOptions& options, const ModelProcessor& model);

}  // namespace hvp::tool
