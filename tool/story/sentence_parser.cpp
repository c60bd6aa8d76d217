#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "tool/base/text.hpp"
#include "tool/story/sentence_table.hpp"

namespace hvp::tool {
namespace {

using Error = std::unexpected<std::string>;

constexpr auto format_names = std::to_array<std::pair<std::string_view, FieldFormat>>({
    {"groups", FieldFormat::groups},
    {"hex", FieldFormat::hex},
    {"pairs", FieldFormat::pairs},
    {"exception", FieldFormat::exception},
    {"exit", FieldFormat::exit},
    {"place", FieldFormat::place},
    {"line", FieldFormat::line},
    {"function", FieldFormat::function},
});

constexpr std::string_view blanks = " \t";

std::string_view take_word(std::string_view& text) {
    const std::size_t end = std::min(text.find_first_of(blanks), text.size());
    const std::string_view word = text.substr(0, end);
    text = trimmed(text.substr(end));
    return word;
}

bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_event_name(std::string_view word) {
    return !word.empty() && is_upper(word[0]) && std::ranges::all_of(word, [](char c) {
        return is_upper(c) || is_lower(c) || is_digit(c);
    });
}

bool is_field_name(std::string_view word) {
    return !word.empty() && is_lower(word[0]) &&
           std::ranges::all_of(word, [](char c) { return is_lower(c) || is_digit(c) || c == '_'; });
}

std::optional<std::uint64_t> number(std::string_view text) {
    const bool hexadecimal = text.starts_with("0x");
    text.remove_prefix(hexadecimal ? 2 : 0);
    std::uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional{value}
                                                                    : std::nullopt;
}

// "text", a number, or another field's name.
std::expected<Condition::Value, std::string> take_value(std::string_view& text) {
    if (text.starts_with('"')) {
        const std::size_t end = text.find('"', 1);
        if (end == std::string_view::npos) {
            return Error{"a quotation mark is missing"};
        }
        Condition::Value value{.text = std::string{text.substr(1, end - 1)}};
        text = trimmed(text.substr(end + 1));
        return value;
    }
    const std::string_view word = take_word(text);
    if (!is_field_name(word) && !number(word)) {
        return Error{fmt::format(
            "a condition compares with a number, a field or a \"text\", not with '{}'", word)};
    }
    return Condition::Value{.text = std::string{word}, .is_field = is_field_name(word)};
}

std::expected<Condition, std::string> read_condition(std::string_view text) {
    const std::string_view field = take_word(text);
    const std::string_view comparison = take_word(text);
    if (!is_field_name(field) || (comparison != "=" && comparison != "!=")) {
        return Error{"a condition is 'field = value' or 'field != value'"};
    }
    Condition condition{.field = std::string{field}, .equal = comparison == "=", .values = {}};
    do {
        auto value = take_value(text);
        if (!value) {
            return Error{value.error()};
        }
        condition.values.push_back(std::move(*value));
    } while (!text.empty() && take_word(text) == "or");
    return text.empty() ? std::expected<Condition, std::string>{condition}
                        : Error{"several values of a condition are joined by 'or'"};
}

// `field`, `field:format`, or `condition ? words : words`.
std::expected<Piece, std::string> read_braces(std::string_view text) {
    if (const std::size_t question = text.find(" ? "); question != std::string_view::npos) {
        const std::size_t colon = text.find(" : ", question);
        if (colon == std::string_view::npos) {
            return Error{"a choice is '{condition ? words : other words}'"};
        }
        auto condition = read_condition(trimmed(text.substr(0, question)));
        if (!condition) {
            return Error{condition.error()};
        }
        Piece piece{.kind = Piece::Kind::choice,
                    .words = std::string{text.substr(question + 3, colon - question - 3)}};
        piece.condition = std::move(*condition);
        piece.otherwise = text.substr(colon + 3);
        return piece;
    }
    const std::size_t colon = std::min(text.find(':'), text.size());
    Piece piece{
        .kind = Piece::Kind::field, .words = {}, .field = std::string{text.substr(0, colon)}};
    if (!is_field_name(piece.field)) {
        return Error{fmt::format("'{}' is no name of a field", piece.field)};
    }
    if (colon == text.size()) {
        return piece;
    }
    const std::string_view format = text.substr(colon + 1);
    constexpr std::string_view bit = "bit ";
    if (format.starts_with(bit)) {
        const auto place = number(format.substr(bit.size()));
        if (!place || *place >= 64) {
            return Error{fmt::format("'{}' names no bit from 0 to 63", format)};
        }
        piece.format = FieldFormat::bit;
        piece.bit = static_cast<unsigned>(*place);
        return piece;
    }
    const auto* const found =
        std::ranges::find(format_names, format, &decltype(format_names)::value_type::first);
    if (found == format_names.end()) {
        return Error{fmt::format("there is no format '{}'", format)};
    }
    piece.format = found->second;
    return piece;
}

std::expected<Template, std::string> read_template(std::string_view text) {
    Template pieces;
    while (!text.empty()) {
        const std::size_t open = std::min(text.find_first_of("{}"), text.size());
        if (open != 0) {
            pieces.push_back(
                {.kind = Piece::Kind::words, .words = std::string{text.substr(0, open)}});
            text.remove_prefix(open);
            continue;
        }
        const std::size_t close = text.find('}');
        if (close == std::string_view::npos || text.front() == '}') {
            return Error{"a brace has no partner"};
        }
        auto piece = read_braces(text.substr(1, close - 1));
        if (!piece) {
            return Error{piece.error()};
        }
        pieces.push_back(std::move(*piece));
        text.remove_prefix(close + 1);
    }
    return pieces;
}

// What begins with a line and is continued by those that are indented deeper.
struct Entry {
    std::string keyword;
    std::string text;
    std::size_t line_number;
};

}  // namespace

class SentenceParser {
public:
    explicit SentenceParser(std::string_view file) : file_{file} {}

    std::expected<SentenceTable, std::string> read(std::string_view text) {
        while (!text.empty() && error_.empty()) {
            const std::string_view line = take_line(text);
            ++line_number_;
            read_line(line);
        }
        finish_entry();
        finish_sentence();
        return error_.empty() ? std::expected<SentenceTable, std::string>{std::move(table_)}
                              : Error{error_};
    }

private:
    void read_line(std::string_view line) {
        const std::string_view content = trimmed(line);
        if (content.empty() || content.starts_with('#')) {
            return;
        }
        const auto indent = static_cast<std::size_t>(content.data() - line.data());
        if (indent == 0) {
            finish_entry();
            finish_sentence();
            entry_ = Entry{"", std::string{content}, line_number_};
        } else if (indent == entry_indent) {
            finish_entry();
            begin_line(content);
        } else if (indent > entry_indent && entry_) {
            entry_->text += fmt::format(" {}", content);
        } else {
            fail("lines below an event are indented by two spaces, and what continues one by more");
        }
    }

    // `EventName`, `EventName when condition`, or `hypercall NUMBER name`.
    void read_heading(const Entry& entry) {
        std::string_view content = entry.text;
        const std::string_view name = take_word(content);
        if (name == "hypercall") {
            const auto call = number(take_word(content));
            if (!call || content.empty()) {
                fail("a call's line is 'hypercall NUMBER name'", entry.line_number);
            } else if (!table_.hypercalls_.emplace(*call, content).second) {
                fail(fmt::format("the call {:#x} has a name already", *call), entry.line_number);
            }
            return;
        }
        if (!is_event_name(name)) {
            fail(fmt::format("'{}' is no name of an event", name), entry.line_number);
            return;
        }
        sentence_ = Sentence{.event = std::string{name}, .line_number = entry.line_number};
        if (content.empty()) {
            return;
        }
        if (take_word(content) != "when") {
            fail("after the name of an event comes nothing, or 'when' and a condition",
                 entry.line_number);
            return;
        }
        auto condition = read_condition(content);
        if (!condition) {
            fail(condition.error(), entry.line_number);
            return;
        }
        sentence_->when = std::move(*condition);
    }

    void begin_line(std::string_view content) {
        if (!sentence_) {
            fail("a line of a sentence belongs below the name of its event");
            return;
        }
        const std::string_view keyword = take_word(content);
        constexpr std::array<std::string_view, 4> known{"driver", "guest", "more", "aside"};
        const bool silent = keyword == "silent" && content.empty();
        if (!silent && std::ranges::find(known, keyword) == known.end()) {
            fail(fmt::format("'{}' is none of driver, guest, more, aside, silent", keyword));
            return;
        }
        const bool first = sentence_->lines.empty();
        if (silent_ || (silent && !first)) {
            fail("an event that is silent has no other line");
        } else if (first && (keyword == "more" || keyword == "aside")) {
            fail(fmt::format("'{}' belongs to a line of driver or guest before it", keyword));
        } else if (!silent && content.empty()) {
            fail(fmt::format("'{}' says nothing", keyword));
        }
        silent_ = silent;
        if (!silent) {
            entry_ = Entry{std::string{keyword}, std::string{content}, line_number_};
        }
    }

    void finish_entry() {
        if (!entry_ || !error_.empty()) {
            return;
        }
        if (entry_->keyword.empty()) {
            read_heading(*entry_);
            entry_.reset();
            return;
        }
        auto pieces = read_template(entry_->text);
        if (!pieces) {
            fail(pieces.error(), entry_->line_number);
            return;
        }
        if (entry_->keyword == "aside") {
            sentence_->lines.back().aside = std::move(*pieces);
        } else {
            sentence_->lines.push_back({.witness = entry_->keyword == "more" ? "" : entry_->keyword,
                                        .text = std::move(*pieces)});
        }
        entry_.reset();
    }

    void finish_sentence() {
        if (!sentence_ || !error_.empty()) {
            return;
        }
        if (sentence_->lines.empty() && !silent_) {
            fail(fmt::format("{} has no sentence; 'silent' says that it needs none",
                             sentence_->event),
                 sentence_->line_number);
            return;
        }
        table_.sentences_.push_back(std::move(*sentence_));
        sentence_.reset();
        silent_ = false;
    }

    void fail(std::string_view why) { fail(why, line_number_); }
    void fail(std::string_view why, std::size_t line_number) {
        if (error_.empty()) {
            error_ = fmt::format("{}:{}: {}", file_, line_number, why);
        }
    }

    static constexpr std::size_t entry_indent = 2;

    std::string_view file_;
    SentenceTable table_;
    std::optional<Sentence> sentence_;
    std::optional<Entry> entry_;
    bool silent_ = false;
    std::size_t line_number_ = 0;
    std::string error_;
};

std::expected<SentenceTable, std::string> SentenceTable::parse(std::string_view text,
                                                               std::string_view file) {
    return SentenceParser{file}.read(text);
}

}  // namespace hvp::tool
