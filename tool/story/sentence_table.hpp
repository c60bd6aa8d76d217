// The sentences for a driver's events, as its stage's sentences.txt has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tool/record/event.hpp"
#include "tool/record/symbols/addresses.hpp"
#include "tool/record/words/exit_details.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {

/// `field = "text"`, `field != 0`, `field = other_field`; several values are joined by `or`.
struct Condition {
    struct Value {
        std::string text;
        bool is_field = false;
    };
    std::string field;
    bool equal = true;  ///< `=`; `!=` otherwise
    std::vector<Value> values;

    [[nodiscard]] bool holds_for(const Event& event) const;
};

/// How a template shows a field.
enum class FieldFormat { text, groups, hex, pairs, exception, bit, exit, place, line, function };

/// A part of a template: plain words, `{field:format}`, or `{condition ? words : otherwise}`.
struct Piece {
    enum class Kind { words, field, choice };
    Kind kind = Kind::words;
    std::string words;
    std::string field = {};
    FieldFormat format = FieldFormat::text;
    unsigned bit = 0;  ///< of the format `bit N`
    Condition condition = {};
    std::string otherwise = {};
};

using Template = std::vector<Piece>;

/// One line of the story: a step, or more about the step before.
struct SentenceLine {
    std::string witness;  ///< driver or guest; empty: more about the line before
    Template text;
    Template aside = {};
};

struct Sentence {
    std::string event;
    std::optional<Condition> when = {};
    std::vector<SentenceLine> lines = {};  ///< none: the event is no step of the story
    std::size_t line_number = 0;           ///< in its file

    /// Returns  the fields that the sentence needs.
    [[nodiscard]] std::vector<std::string> fields() const;
};

class SentenceTable {
public:
    /// Reads a sentences.txt. stages/shared/sentences.txt describes the format.
    ///
    /// Returns  the table, or `file:line: what is wrong`
    [[nodiscard]] static std::expected<SentenceTable, std::string> parse(std::string_view text,
                                                                         std::string_view file);

    /// Adds another file's sentences; where an event has sentences in both, those of this table are
    /// tried first.
    void append_sentences(const SentenceTable& other);
    /// Adds another file's names of calls.
    void append_hypercalls(const SentenceTable& other);

    /// Returns  the event's steps: none for an event that is silent, nullopt for one that has no
    ///          sentence, or whose sentences name fields that this event does not have
    [[nodiscard]] std::optional<std::vector<StoryStep>> steps_of(const Event& event,
                                                                 const AddressNames& names) const;

    [[nodiscard]] const std::vector<Sentence>& sentences() const { return sentences_; }
    [[nodiscard]] const HypercallNames& hypercalls() const { return hypercalls_; }

private:
    friend class SentenceParser;

    std::vector<Sentence> sentences_;
    HypercallNames hypercalls_;
};

}  // namespace hvp::tool
