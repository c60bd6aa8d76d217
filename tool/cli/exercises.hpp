// `playground break` and `playground unbreak`: the edits of the chapters' exercises, made and
// undone.
#pragma once

#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"

namespace hvp::tool {

/// Returns  why no exercise has this name; empty: one has, or no name was given
[[nodiscard]] std::string exercise_name_complaint(const std::string& name,
                                                  const Repository& repository);

/// Makes the edits that the exercise's chapter shows, all or none; without a name it lists the
/// exercises.
///
/// Needs    a name of which `exercise_name_complaint` says nothing
/// Returns  failed if the sources have not the lines that the chapter shows, or cannot be written
[[nodiscard]] ExitStatus make_break(const BreakOptions& options, const Repository& repository);

/// Undoes the edits of the exercise; without a name those of all that are made.
[[nodiscard]] ExitStatus undo_break(const UnbreakOptions& options, const Repository& repository);

}  // namespace hvp::tool
