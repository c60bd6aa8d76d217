// `playground new`: a stage of one's own, made from one that runs.
#pragma once

#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"

namespace hvp::tool {

/// Returns  why no stage can have this name; empty: one can
[[nodiscard]] std::string stage_name_complaint(const std::string& name,
                                               const Repository& repository);

/// Copies the stage `options.from`: sources in a namespace of their own, story.txt, sentences.txt,
/// a README.md to fill in; and adds the new one to stages/order.
///
/// Needs    a name of which `stage_name_complaint` says nothing; `options.from` is a stage
/// Returns  failed if a file cannot be read or written; then nothing of the new stage is left
[[nodiscard]] ExitStatus new_stage(const NewOptions& options, const Repository& repository);

}  // namespace hvp::tool
