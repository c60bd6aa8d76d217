#include "tool/cli/exercises.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tool/base/chapter.hpp"
#include "tool/base/files.hpp"
#include "tool/base/line_edits.hpp"
#include "tool/base/nearest.hpp"

namespace hvp::tool {
namespace {

using Failure = std::unexpected<std::string>;
/// The files that an edit changes, as they will be.
using Changed = std::expected<std::map<std::string, std::string>, std::string>;

struct Break {
    std::string stage;
    Exercise exercise;
};

/// The exercises that have an edit, in the order of the chapters.
std::vector<Break> all_breaks(const Repository& repository) {
    std::vector<Break> breaks;
    for (const std::string& stage : repository.stages()) {
        const auto chapter = read_text(repository.stage(stage) / "README.md");
        for (Exercise& exercise : exercises_of(chapter.value_or(""))) {
            breaks.push_back({.stage = stage, .exercise = std::move(exercise)});
        }
    }
    std::erase_if(breaks, [](const Break& one) {
        return std::ranges::none_of(one.exercise.blocks,
                                    [](const Block& block) { return block.language == "diff"; });
    });
    return breaks;
}

/// Makes the exercise's edits in texts of the files, or undoes them; no file is written.
Changed changed(const Exercise& exercise, const Repository& repository, bool undo) {
    std::map<std::string, std::string> files;
    for (const Block& block : exercise.blocks) {
        if (block.language != "diff") {
            continue;
        }
        const auto edit = read_edit(block.lines);
        if (!edit) {
            return Failure{edit.error()};
        }
        if (!files.contains(edit->file)) {
            auto text = read_text(repository.root / edit->file);
            if (!text) {
                return Failure{text.error()};
            }
            files[edit->file] = std::move(*text);
        }
        std::string& text = files[edit->file];
        auto after = edited(text, undo ? reversed(*edit) : *edit);
        if (!after) {
            return Failure{after.error()};
        }
        text = std::move(*after);
    }
    return files;
}

bool is_made(const Exercise& exercise, const Repository& repository) {
    return !changed(exercise, repository, false) && changed(exercise, repository, true);
}

ExitStatus write(const Changed& files, const std::string& what, const Repository& repository) {
    std::string error = files ? "" : files.error();
    if (files) {
        for (const auto& [file, text] : *files) {
            const auto written = write_file(repository.root / file, text);
            if (!written && error.empty()) {
                error = written.error();
            }
        }
    }
    if (error.empty()) {
        return ExitStatus::passed;
    }
    fmt::print(stderr, "playground: {}: {}\n", what, error);
    return ExitStatus::failed;
}

std::string names_of(const Changed& files) {
    std::vector<std::string> names;
    for (const auto& [file, text] : *files) {
        names.push_back(file);
    }
    return fmt::format("{}", fmt::join(names, ", "));
}

const Break& find(const std::vector<Break>& breaks, const std::string& name) {
    return *std::ranges::find(breaks, name, [](const Break& one) { return one.exercise.name; });
}

void list(const std::vector<Break>& breaks, const Repository& repository) {
    std::size_t width = 0;
    for (const Break& one : breaks) {
        width = std::max(width, one.exercise.name.size());
    }
    std::string stage;
    for (const auto& [of, exercise] : breaks) {
        if (of != stage) {
            fmt::print("{}\n", of);
            stage = of;
        }
        fmt::print("  {:<{}}  {}{}\n", exercise.name, width, exercise.title,
                   is_made(exercise, repository) ? " (made)" : "");
    }
}

}  // namespace

std::string exercise_name_complaint(const std::string& name, const Repository& repository) {
    std::vector<std::string> names;
    for (const Break& one : all_breaks(repository)) {
        names.push_back(one.exercise.name);
    }
    if (name.empty() || std::ranges::find(names, name) != names.end()) {
        return {};
    }
    const std::string near = nearest(name, names);
    return fmt::format(
        "there is no exercise {}{}", name,
        near.empty() ? "; ./playground break shows them" : fmt::format("; did you mean {}?", near));
}

ExitStatus make_break(const BreakOptions& options, const Repository& repository) {
    const std::vector<Break> breaks = all_breaks(repository);
    if (options.name.empty()) {
        list(breaks, repository);
        return ExitStatus::passed;
    }
    const auto& [stage, exercise] = find(breaks, options.name);
    if (is_made(exercise, repository)) {
        fmt::print(stderr,
                   "playground: break {0}: it is made already; ./playground unbreak {0} "
                   "undoes it\n",
                   options.name);
        return ExitStatus::failed;
    }
    const Changed files = changed(exercise, repository, false);
    const ExitStatus status = write(files, "break " + options.name, repository);
    if (status == ExitStatus::passed) {
        fmt::print(
            "{}: changed as stages/{}/README.md shows\n"
            "./playground run {} tells what comes of it; ./playground unbreak undoes it\n",
            names_of(files), stage, stage);
    }
    return status;
}

ExitStatus undo_break(const UnbreakOptions& options, const Repository& repository) {
    std::vector<Break> breaks = all_breaks(repository);
    // One exercise's edits can be a part of another's: the one with the most is undone first.
    std::ranges::sort(breaks, std::ranges::greater{},
                      [](const Break& one) { return one.exercise.blocks.size(); });
    std::size_t undone = 0;
    for (const auto& [stage, exercise] : breaks) {
        if (options.name.empty() ? !is_made(exercise, repository) : exercise.name != options.name) {
            continue;
        }
        const Changed files = changed(exercise, repository, true);
        if (const ExitStatus status = write(files, "unbreak " + exercise.name, repository);
            status != ExitStatus::passed) {
            return status;
        }
        fmt::print("{}: without {} again\n", names_of(files), exercise.name);
        ++undone;
    }
    if (undone == 0) {
        fmt::print("no exercise's edit is in the sources\n");
    }
    return ExitStatus::passed;
}

}  // namespace hvp::tool
