// From an event to its steps in the story: the lab's and the processor's in words of our own, a
// driver's in those of its stage's sentences.txt.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tool/record/addresses.hpp"
#include "tool/record/event.hpp"
#include "tool/record/exit_pairs.hpp"
#include "tool/story/sentence_table.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {

/// Makes the steps of a story, event by event, in the order of time.
class Sentences {
public:
    Sentences(const SentenceTable& table, const AddressNames& names, const ExitPairs& exits)
        : table_{table}, names_{names}, exits_{exits} {}

    /// Returns  no, one or several steps about this event.
    [[nodiscard]] std::vector<StoryStep> about(const Event& event);

    [[nodiscard]] const SentenceTable& table() const { return table_; }
    [[nodiscard]] const AddressNames& names() const { return names_; }
    [[nodiscard]] const ExitPairs& exits() const { return exits_; }
    /// Returns  the instruction by which the processor last tried to enter a guest.
    [[nodiscard]] std::string_view entry_instruction() const { return entry_instruction_; }

private:
    const SentenceTable& table_;
    const AddressNames& names_;
    const ExitPairs& exits_;
    std::string entry_instruction_ = "VM entry";
};

/// Returns  the status with its name where we know it: `STATUS_SUCCESS`.
[[nodiscard]] std::string status_name(std::string_view status);

/// Returns  any event on one line: its witness and processor, its name and its fields.
[[nodiscard]] std::string in_short(const Event& event);

/// Returns  one sentence about a thing that the lab found wrong, for the story and for stderr.
[[nodiscard]] std::string complaint(const Event& event);

}  // namespace hvp::tool
