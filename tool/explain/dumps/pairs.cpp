#include "tool/explain/dumps/pairs.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "hypervisor/vmcs/fields.hpp"
#include "tool/base/text.hpp"
#include "tool/explain/dumps/name_words.hpp"
#include "tool/explain/dumps/registers.hpp"

namespace hvp::tool {
namespace {

// A pointer's or namespace's member is another thing than the name alone: "__va::CR3".
bool is_member(std::string_view name) {
    return name.contains("::");
}

bool looks_like_a_name(std::string_view name) {
    const bool has_letter =
        std::ranges::any_of(name, [](unsigned char letter) { return std::isalpha(letter) != 0; });
    return has_letter && name.size() > 1;
}

// "haxm_warning: 6404 VM_EXIT_INFO_IO_ESI: 0": what follows the first colon is no value.
bool is_encoding_of_a_name(std::string_view text) {
    constexpr std::size_t digits = 4;
    const std::string_view word = number_word(text);
    if (word.size() != digits || text.size() < digits + 2 || text[digits] != ' ' ||
        std::isalpha(static_cast<unsigned char>(text[digits + 1])) == 0) {
        return false;
    }
    const auto value = number_in(word);
    return value && item_of_encoding(*value);
}

// How many letters separate a name from its value here: `=`, `:`, `->`, `=>`; 0 if none does.
std::size_t length_of_mark(std::string_view line, std::size_t at) {
    const std::string_view two = line.substr(at, 2);
    if (two == "->" || two == "=>") {
        return 2;
    }
    const bool is_scope = two == "::" || (at > 0 && line.substr(at - 1, 2) == "::");
    return (line[at] == '=' || line[at] == ':') && !is_scope ? 1 : 0;
}

}  // namespace

/// The number after a mark.
struct PairReader::Value {
    std::optional<WrittenNumber> number;
    std::size_t end;  ///< where the line goes on after it
    bool begins_with_digit;
    bool is_shown_only;
};

PairReader::Value PairReader::value_at(std::string_view line, std::size_t at, std::size_t mark) {
    constexpr std::size_t longest_value = 40;
    constexpr std::size_t remark = 14;  // "(decimal)", "(effective)"
    const std::size_t start = std::min(line.find_first_not_of(" \t", at + mark), line.size());
    const std::string_view rest = line.substr(start, longest_value);
    const std::string_view word = number_word(rest);
    const std::size_t end = start + word.size();
    const bool goes_on = end < line.size() && std::string_view{"./"}.contains(line[end]);
    if (word.empty() || goes_on || (line[at] == ':' && is_encoding_of_a_name(rest))) {
        return {{}, end, false, false};
    }
    const std::string_view tail = line.substr(end, remark);
    return {written_number(line.substr(start, word.size() + tail.size())), end,
            std::isdigit(static_cast<unsigned char>(word.front())) != 0,
            tail.contains("(effective)") || tail.contains("(autoload)")};
}

void PairReader::enter(DumpPart part) {
    give_segment();
    part_ = part;
    segment_.reset();
}

Side PairReader::side() const {
    return part_ == DumpPart::host || (part_ == DumpPart::none && line_is_the_hosts_) ? Side::host
                                                                                      : Side::guest;
}

void PairReader::give_segment() {
    if (segment_ && !parts_.is_empty()) {
        parts_.give(*segment_, builder_);
    }
}

// The last words of the name, for a log's prefix is no part of it.
std::optional<NamedItem> PairReader::in_part(const Pair& pair) const {
    std::string_view name = pair.name;
    while (part_ != DumpPart::none) {
        auto encoding = encoding_in_part(
            part_, pair.group.empty() ? std::string{name}
                                      : std::string{pair.group} + ":" + std::string{name});
        if (!encoding) {
            encoding = encoding_in_part(part_, name);
        }
        if (encoding) {
            return item_of_encoding(*encoding);
        }
        const std::size_t blank = name.find_first_of(" \t)]");
        if (blank == std::string_view::npos) {
            break;
        }
        name = trimmed(name.substr(blank + 1));
    }
    return std::nullopt;
}

PairReader::Meaning PairReader::register_of(const Pair& pair) const {
    const std::string_view name = last_word(without_index(pair.name));
    const auto encoding = part_ == DumpPart::controls ? std::nullopt : register_field(name, side());
    if (!encoding) {
        return {};
    }
    // CR0 and CR4 alone, outside a dump of the VMCS, are what the guest reads.
    const bool is_guests_view =
        part_ == DumpPart::none && side() == Side::guest &&
        (*encoding == vmx::guest_cr0.encoding || *encoding == vmx::guest_cr4.encoding);
    return {item_of_encoding(*encoding), is_guests_view};
}

PairReader::Meaning PairReader::look_up(const Pair& pair) const {
    if (const auto item = in_part(pair)) {
        return {item};
    }
    const std::string whole = pair.group.empty()
                                  ? std::string{pair.name}
                                  : std::string{pair.group} + " " + std::string{pair.name};
    if (const auto item = item_at_end_of(whole)) {
        return {item};
    }
    if (const auto item = item_of_encoding_in(pair.name, true)) {
        return {item};
    }
    // "6404 VM_EXIT_INFO_IO_ESI": the encoding, and a name that nobody else has.
    const std::string_view before =
        trimmed(pair.name.substr(0, pair.name.size() - last_word(pair.name).size()));
    constexpr std::size_t digits_of_an_encoding = 4;
    if (last_word(before).size() == digits_of_an_encoding) {
        if (const auto item = item_of_encoding_in(before, false)) {
            return {item};
        }
    }
    return register_of(pair);
}

const PairReader::Meaning& PairReader::meaning_of(const Pair& pair) {
    static const Meaning nothing{};
    std::string key{static_cast<char>('0' + static_cast<int>(part_))};
    key += side() == Side::host ? 'h' : 'g';
    key.append(pair.group).append("\n").append(pair.name);
    if (const auto found = known_.find(key); found != known_.end()) {
        return found->second;
    }
    // No dump has so many names. The rest of such a text is passed over.
    constexpr std::size_t most_names = 20'000;
    if (looked_up_ == most_names) {
        builder_.add_note(
            "The text has more than 20 000 different names. The first of them were "
            "looked at; cut it down to the dump.");
    }
    return ++looked_up_ > most_names ? nothing
                                     : known_.emplace(std::move(key), look_up(pair)).first->second;
}

bool PairReader::select_segment(std::string_view word) {
    constexpr std::size_t longest = 5;  // "gdtr:"
    const bool is_task = word.size() == 4 && contains_ignoring_case(word, "task");
    const auto fields = is_task                  ? segment_fields("tr", side())
                        : word.size() <= longest ? segment_fields(word, side())
                                                 : std::nullopt;
    if (fields) {
        give_segment();
        segment_ = fields;
    }
    return fields.has_value();
}

// The register may stand in front of the colon, or among the words: "Guest CS Segment - Selector".
void PairReader::look_for_segment(const Pair& pair) {
    select_segment(pair.group);
    std::string_view rest = pair.name;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find_first_of(" \t,"), rest.size());
        select_segment(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
}

bool PairReader::take_segment_part(const Pair& pair) {
    if (!segment_) {
        return false;
    }
    const std::string_view key = last_word(pair.name);
    if (!segment_fields(key, side())) {
        return parts_.take(key, pair.number);
    }
    // "Attr GS", or "cs = 0x0008 base = …": the register's own value is its selector.
    const std::string_view before = last_word(pair.name.substr(0, pair.name.size() - key.size()));
    return parts_.take(before, pair.number) ||
           (segment_->selector != 0 && before.empty() && parts_.take("selector", pair.number));
}

bool PairReader::take(const Pair& pair) {
    if (is_member(pair.name)) {
        tell_unknown(pair.name);
        return true;
    }
    look_for_segment(pair);
    const Meaning& meaning = meaning_of(pair);
    if (!meaning.item) {
        return take_segment_part(pair);
    }
    if (meaning.is_guests_view) {
        builder_.mark_as_guests_view();
    }
    // KVM shows the EFER that the guest would have, whether it is in the VMCS or not.
    if (!pair.is_shown_only) {
        builder_.set(*meaning.item, last_word(pair.name), pair.number);
    }
    return true;
}

// "gdtr=0000000000005000:001f": base and limit.
bool PairReader::take_table(const Pair& pair, std::string_view rest) {
    const auto fields = segment_fields(last_word(pair.name), side());
    const auto limit =
        rest.starts_with(':') ? written_number(number_word(rest.substr(1))) : std::nullopt;
    if (!fields || fields->selector != 0 || !limit) {
        return false;
    }
    SegmentParts both;
    both.take("base", pair.number);
    both.take("limit", *limit);
    both.give(*fields, builder_);
    return true;
}

void PairReader::tell_unknown(std::string_view whole) {
    if (!builder_.wants_unknown()) {
        return;
    }
    // The SDM's names have blanks; what a log puts before a name ends in a bracket or colon.
    const std::size_t bracket = whole.find_last_of("]>");
    std::string_view name =
        trimmed(bracket == std::string_view::npos ? whole : whole.substr(bracket + 1));
    if (const std::size_t scope = name.find("::"); scope != std::string_view::npos) {
        // "__va::EPT pointer": from the word with the scope on.
        const std::size_t blank = name.substr(0, scope).find_last_of(" \t");
        name = name.substr(blank == std::string_view::npos ? 0 : blank + 1);
    } else if (name.contains('_')) {
        name = last_word(name);
    }
    while (name.ends_with(':')) {
        name.remove_suffix(1);
    }
    if (looks_like_a_name(name) && !is_no_field(last_word(name)) && !is_no_field(name)) {
        builder_.add_unknown(name);
    }
}

// "name = value", "name: value", "name -> value", any number of them.
void PairReader::read_marked(std::string_view line) {
    constexpr std::size_t most_marks = 10'000;
    std::string_view group;
    std::size_t start = 0;
    std::size_t marks = 0;
    for (std::size_t at = 0; at < line.size(); ++at) {
        const std::size_t mark = length_of_mark(line, at);
        if (mark == 0) {
            continue;
        }
        if (++marks > most_marks) {
            builder_.add_note("A line is longer than any of a dump; its end was not read.");
            break;
        }
        const std::string_view name = end_of(line.substr(start, at - start));
        const Value value = value_at(line, at, mark);
        const Pair pair{group, name, value.number.value_or(WrittenNumber{}), value.is_shown_only};
        if (value.number && take_table(pair, line.substr(value.end, most_name_letters))) {
            has_read_ = true;
            const std::size_t limit = value.end + 1;
            start = limit + number_word(line.substr(limit, most_name_letters)).size();
        } else if (value.number && take(pair)) {
            has_read_ = true;
            start = value.end;
        } else if (value.number && mark == 1 && is_unknown(line[at], value, name)) {
            start = value.end;
        } else {
            if (line[at] == ':') {
                group = last_word(name);
                start = at + 1;
            }
            at += mark - 1;
            continue;
        }
        at = start - 1;
    }
}

// A name with a number that nobody knows: told, and passed over.
bool PairReader::is_unknown(char mark, const Value& value, std::string_view name) {
    if (!value.begins_with_digit || (mark == ':' && !looks_like_a_name(name))) {
        return false;
    }
    tell_unknown(name);
    has_told_ = true;
    return true;
}

// "GUEST_CR0 0x80050033", "rip    0xfff0   0xfff0": columns.
void PairReader::read_columns(std::string_view line) {
    if (line.size() > 2 * most_name_letters) {
        return;
    }
    const std::size_t first_end = std::min(line.find_first_of(" \t"), line.size());
    const std::string_view first = line.substr(0, first_end);
    const std::string_view second = trimmed(line.substr(first_end));
    // A debugger's register, with more in the columns after it.
    const Pair columns{.group = {}, .name = first, .number = {}};
    const auto in_second = written_number(number_word(second));
    if (const Meaning found = register_of(columns); found.item && in_second) {
        if (found.is_guests_view) {
            builder_.mark_as_guests_view();
        }
        builder_.set(*found.item, first, *in_second);
        return;
    }
    const std::size_t blank = line.find_last_of(" \t");
    const std::string_view name =
        trimmed(line.substr(0, blank == std::string_view::npos ? 0 : blank));
    const auto number =
        blank == std::string_view::npos ? std::nullopt : written_number(line.substr(blank + 1));
    if (!number || name.empty()) {
        return;
    }
    const Meaning& meaning = meaning_of({.group = "\t", .name = name, .number = {}});
    if (meaning.item) {
        builder_.set(*meaning.item, last_word(name), *number);
    } else if (!has_told_ && !name.contains(' ') && name.contains('_') && !is_no_field(name)) {
        builder_.add_unknown(name);
    }
}

void PairReader::read(std::string_view line) {
    line_is_the_hosts_ = contains_ignoring_case(line.substr(0, most_name_letters), "host");
    // Parts of a segment register go on in the next line only if it begins with one.
    const std::string_view first = line.substr(0, line.find_first_of(" \t=:"));
    const bool goes_on = SegmentParts{}.take(first, {}) || line.starts_with("Data segment") ||
                         line.starts_with("Code segment");
    if (segment_ && !goes_on) {
        give_segment();
        segment_.reset();
    }
    has_read_ = false;
    has_told_ = false;
    read_marked(line);
    if (!has_read_ && part_ == DumpPart::none) {
        read_columns(line);
    }
}

}  // namespace hvp::tool
