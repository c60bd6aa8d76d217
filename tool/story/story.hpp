// A run as a story: which witness reports what, step by step, in the words of the terminal and of
// story.txt.
#pragma once

#include <string>
#include <vector>

#include "tool/record/symbols/addresses.hpp"
#include "tool/record/timeline.hpp"

namespace hvp::tool {

class SentenceTable;

struct StoryStep {
    std::string witness;  ///< driver, guest, processor, lab; empty: more about the step before
    std::string text;
    std::string aside = {};  ///< on the right: the instruction count, or a citation
    bool optional = false;   ///< not part of a stage's story.txt
};

/// Returns  the steps of a run, from its events in the order of time.
[[nodiscard]] std::vector<StoryStep> story_of(const Timeline& timeline, const AddressNames& names,
                                              const SentenceTable& table);

struct StoryLayout {
    unsigned width = 100;
    bool colour = false;
};

/// Returns  the steps as numbered lines, each with its line end.
[[nodiscard]] std::string lay_out(const std::vector<StoryStep>& steps, const StoryLayout& layout);

/// Returns  a number in groups of three digits: `1 204 113`.
[[nodiscard]] std::string grouped(std::uint64_t number);

/// Returns  a size for people: `9 KB`.
[[nodiscard]] std::string size_text(std::uint64_t bytes);

}  // namespace hvp::tool
