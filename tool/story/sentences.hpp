// From an event to its steps in the story: the lab's and the processor's in words of our own, a
// driver's in those of its stage's sentences.txt.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tool/record/event.hpp"
#include "tool/record/exit_pairs.hpp"
#include "tool/record/state_changes.hpp"
#include "tool/record/symbols/addresses.hpp"
#include "tool/record/words/status_names.hpp"
#include "tool/story/sentence_table.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {

/// Makes the steps of a story, event by event, in the order of time.
class Sentences {
public:
    Sentences(const SentenceTable& table, const AddressNames& names, const ExitPairs& exits,
              const Timeline& timeline);

    /// Returns  no, one or several steps about this event.
    [[nodiscard]] std::vector<StoryStep> about(const Event& event);

    [[nodiscard]] const SentenceTable& table() const { return table_; }
    [[nodiscard]] const AddressNames& names() const { return names_; }
    [[nodiscard]] const ExitPairs& exits() const { return exits_; }
    /// Returns  a StateDifference or ExpectedChange with all processors that have it; nullptr: it
    ///          has been told with that of another processor
    [[nodiscard]] const StateChange* change_of(const Event& event) const;
    /// Returns  the instruction by which that processor last tried to enter a guest.
    [[nodiscard]] std::string_view entry_instruction(unsigned cpu) const {
        const auto found = entry_instructions_.find(cpu);
        return found == entry_instructions_.end() ? "VM entry" : found->second;
    }
    /// Whether a driver without DriverUnload stays: the examiner looks only when it is gone.
    [[nodiscard]] bool stays_loaded() const { return stays_loaded_; }

private:
    const SentenceTable& table_;
    const AddressNames& names_;
    const ExitPairs& exits_;
    std::vector<StateChange> changes_;
    std::map<unsigned, std::string_view> entry_instructions_;  ///< by processor
    bool stays_loaded_ = false;
};

/// Returns  any event on one line: its witness and processor, its name and its fields.
[[nodiscard]] std::string in_short(const Event& event);

/// Returns  one sentence about a thing that the lab found wrong, for the story and for stderr.
[[nodiscard]] std::string complaint(const Event& event);

/// Returns  the same about what processors were left with.
[[nodiscard]] std::string complaint(const StateChange& change);

}  // namespace hvp::tool
