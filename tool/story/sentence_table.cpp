#include "tool/story/sentence_table.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace hvp::tool {
namespace {

std::optional<std::uint64_t> as_number(const Event& event, std::string_view field) {
    constexpr std::uint64_t none = ~0ULL;
    const std::uint64_t number = event.number(field, none);
    return number == none && event.number(field, 0) == 0 ? std::nullopt : std::optional{number};
}

// A hexadecimal 0 needs no prefix.
std::string shown_text(const Event& event, std::string_view field) {
    std::string text = event.text(field);
    return text == "0x0" ? "0" : text;
}

std::string shown(const Piece& piece, const Event& event, const AddressNames& names,
                  const HypercallNames& hypercalls) {
    const std::uint64_t number = event.number(piece.field);
    switch (piece.format) {
        case FieldFormat::text:
            return shown_text(event, piece.field);
        case FieldFormat::groups:
            return grouped(number);
        case FieldFormat::hex:
            return fmt::format("{:#x}", number);
        case FieldFormat::pairs:
            return std::to_string(event.array(piece.field).size() / 2);
        case FieldFormat::exception:
            return exception_name(number);
        case FieldFormat::bit:
            return std::to_string(number >> piece.bit & 1);
        case FieldFormat::exit:
            return exit_words(event, hypercalls);
        case FieldFormat::place:
            return names.module_and_offset(number);
        case FieldFormat::line:
            return names.in_full(number);
        case FieldFormat::function:
            return names.function_and_offset(number);
    }
    return {};
}

void add_fields(const Condition& condition, std::vector<std::string>& fields) {
    fields.push_back(condition.field);
    for (const Condition::Value& value : condition.values) {
        if (value.is_field) {
            fields.push_back(value.text);
        }
    }
}

void add_fields(const Template& pieces, std::vector<std::string>& fields) {
    for (const Piece& piece : pieces) {
        if (piece.kind == Piece::Kind::field) {
            fields.push_back(piece.field);
        } else if (piece.kind == Piece::Kind::choice) {
            add_fields(piece.condition, fields);
        }
    }
}

}  // namespace

bool Condition::holds_for(const Event& event) const {
    const bool found = std::ranges::any_of(values, [&](const Value& value) {
        if (value.is_field) {
            return event.text(field) == event.text(value.text);
        }
        if (event.text(field) == value.text) {
            return true;
        }
        const auto number = as_number(event, field);
        return number && !value.text.empty() && *number == number_of(Json(value.text), ~0ULL);
    });
    return found == equal;
}

std::vector<std::string> Sentence::fields() const {
    std::vector<std::string> names;
    if (when) {
        add_fields(*when, names);
    }
    for (const SentenceLine& line : lines) {
        add_fields(line.text, names);
        add_fields(line.aside, names);
    }
    std::ranges::sort(names);
    const auto twins = std::ranges::unique(names);
    names.erase(twins.begin(), twins.end());
    return names;
}

void SentenceTable::append_sentences(const SentenceTable& other) {
    sentences_.insert(sentences_.end(), other.sentences_.begin(), other.sentences_.end());
}

void SentenceTable::append_hypercalls(const SentenceTable& other) {
    hypercalls_.insert(other.hypercalls_.begin(), other.hypercalls_.end());
}

std::optional<std::vector<StoryStep>> SentenceTable::steps_of(const Event& event,
                                                              const AddressNames& names) const {
    const auto fits = [&](const Sentence& sentence) {
        return sentence.event == event.name &&
               std::ranges::all_of(
                   sentence.fields(),
                   [&](const std::string& field) { return event.fields.contains(field); }) &&
               (!sentence.when || sentence.when->holds_for(event));
    };
    const auto found = std::ranges::find_if(sentences_, fits);
    if (found == sentences_.end()) {
        return std::nullopt;
    }
    const auto filled = [&](const Template& pieces) {
        std::string text;
        for (const Piece& piece : pieces) {
            if (piece.kind == Piece::Kind::field) {
                text += shown(piece, event, names, hypercalls_);
            } else if (piece.kind == Piece::Kind::words || piece.condition.holds_for(event)) {
                text += piece.words;
            } else {
                text += piece.otherwise;
            }
        }
        return text;
    };
    std::vector<StoryStep> steps;
    for (const SentenceLine& line : found->lines) {
        steps.push_back({line.witness, filled(line.text), filled(line.aside)});
    }
    return steps;
}

}  // namespace hvp::tool
