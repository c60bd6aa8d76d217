// `./playground explain`: why a VM entry fails, from a dump of the VMCS; and what a number means.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"
#include "tool/explain/model_processor.hpp"

namespace hvp::tool {

ExitStatus explain(const ExplainOptions& options, const Repository& repository);

/// What `explain` makes of a text.
struct DumpReport {
    ExitStatus status;
    std::string output;     ///< for stdout
    std::string complaint;  ///< for stderr: why there is nothing to say
};

/// Explains a dump of any kind, and any other text: it never throws, and takes time in proportion
/// to the text.
[[nodiscard]] DumpReport explain_dump(std::string_view text, const ExplainOptions& options,
                                      const ModelProcessor& model, std::size_t width);

}  // namespace hvp::tool
