#include "tool/explain/dumps/log_lines.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "tool/base/text.hpp"

namespace hvp::tool {
namespace {

// Mailers break lines between these columns; a longer line was never in one's hands.
constexpr std::size_t narrowest_mail = 60;
constexpr std::size_t widest_mail = 100;
// A broken line is joined from few pieces. More would be another text.
constexpr std::size_t most_pieces = 8;

bool is_digit(char letter) {
    return std::isdigit(static_cast<unsigned char>(letter)) != 0;
}

// The first word, and the blanks after it.
struct Token {
    std::string_view word;
    std::size_t length;
};
Token first_token(std::string_view line) {
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    const std::size_t next = std::min(line.find_first_not_of(" \t", end), line.size());
    return {line.substr(0, end), next};
}

enum class Stamp : std::uint8_t { none, weak, strong };

// A time, a date or a counter: `10:20:30.485406`, `2026/01/02`, `22261`, `I0210`
Stamp stamp_of(std::string_view word) {
    constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    if (std::ranges::find(months, word) != months.end()) {
        return Stamp::weak;
    }
    if (word.size() > 1 && std::string_view{"IWEF"}.contains(word.front())) {
        word.remove_prefix(1);  // glog's severity
    }
    const bool is_number = std::ranges::all_of(
        word, [](char c) { return is_digit(c) || std::string_view{"-:.,/+TZ"}.contains(c); });
    if (word.empty() || !is_number || !is_digit(word.front())) {
        return Stamp::none;
    }
    const auto mark =
        std::ranges::find_if(word, [](char c) { return std::string_view{":.,/"}.contains(c); });
    return mark != word.end() && mark + 1 != word.end() ? Stamp::strong : Stamp::weak;
}

// `[1234us][cpu=1][seq=41]:`: how long a row of brackets without blanks is.
std::size_t row_of_brackets(std::string_view line) {
    constexpr std::size_t longest = 160;
    constexpr std::size_t fewest = 3;
    std::size_t at = 0;
    std::size_t count = 0;
    while (at < std::min(longest, line.size()) && line[at] == '[') {
        const std::size_t end = line.substr(0, longest).find(']', at);
        if (end == std::string_view::npos) {
            return 0;
        }
        at = end + 1;
        ++count;
    }
    return count >= fewest ? at + (at < line.size() && line[at] == ':' ? 1 : 0) : 0;
}

// `[  100.000001]`, `[hv]`, `(XEN)`, `<6>`, and the end of a stamp that was cut: `33.881551]`
std::size_t bracket_stamp(std::string_view line) {
    constexpr std::size_t longest = 48;
    if (const std::size_t row = row_of_brackets(line); row != 0) {
        return row;
    }
    const char closing = line.starts_with('(') ? ')' : line.starts_with('<') ? '>' : ']';
    const bool opens = line.starts_with('[') || line.starts_with('(') || line.starts_with('<');
    const std::size_t end = line.substr(0, longest).find(closing);
    if (end == std::string_view::npos || end < 2 || end + 1 >= line.size() ||
        (!line.starts_with('<') && std::string_view{"=:[(>"}.contains(line[end + 1]))) {
        return 0;
    }
    const std::string_view inside = line.substr(opens ? 1 : 0, end - (opens ? 1 : 0));
    const bool is_cut = !opens && stamp_of(inside) == Stamp::strong;
    // A number in parentheses is a value: "(0x681e) = 0x10".
    const bool is_name = opens && !inside.starts_with("0x") && inside.find('=') == inside.npos;
    if (!is_cut && !is_name) {
        return 0;
    }
    return std::min(line.find_first_not_of(" \t", end + 1), line.size());
}

// "host kernel: [10639.241834] " after the time of a system log.
std::size_t kernel_stamp(std::string_view line, bool has_time) {
    constexpr std::size_t most_columns = 48;
    const std::size_t start = line.substr(0, most_columns).find('[');
    if (!has_time || start == 0 || start == std::string_view::npos) {
        return 0;
    }
    const std::size_t length = bracket_stamp(line.substr(start));
    const std::string_view inside = trimmed(line.substr(start + 1, length));
    return length != 0 && stamp_of(inside.substr(0, inside.find(']'))) == Stamp::strong
               ? start + length
               : 0;
}

// Colours and cursor movements are no part of a value.
std::string without_escapes(std::string_view line) {
    std::string text;
    for (std::size_t at = 0; at < line.size(); ++at) {
        if (line[at] != '\x1b' || at + 1 >= line.size() || line[at + 1] != '[') {
            text += line[at];
            continue;
        }
        at = std::min(line.find_first_not_of("0123456789;?", at + 2), line.size());
    }
    return text;
}

// `>>>> `; in front of a log's stamp only. Xen itself writes ">>> Domain 3 <<<" after it.
std::string_view without_quotes(std::string_view line) {
    while (line.starts_with('>')) {
        line.remove_prefix(1);
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    }
    return line;
}

// Whether the line stops in the middle of something.
bool is_open_at_end(std::string_view line) {
    const std::string_view end = trimmed(line);
    if (end.empty()) {
        return false;
    }
    return std::string_view{"=:,({"}.contains(end.back()) || end.ends_with("->");
}
// Whether a line begins in the middle of something; "controls = 0" of "VMfunc controls = 0".
bool goes_on_at_start(std::string_view line, std::string_view before) {
    const Token first = first_token(line);
    const bool is_end_of_a_name =
        line.substr(first.length).starts_with("= ") && !before.empty() && !is_digit(before.back());
    return line.starts_with('=') || line.starts_with('(') || line.starts_with(':') ||
           line.starts_with("->") || is_end_of_a_name;
}

class Joiner {
public:
    explicit Joiner(const std::function<void(const LogLine&)>& sink) : sink_{sink} {}

    void add(std::string_view raw, std::size_t number) {
        if (raw.empty()) {
            flush();
            return;
        }
        const bool ends_in_blank = raw.ends_with(' ') || raw.ends_with(" \r");
        raw = trimmed(raw);
        const std::string clean = raw.contains('\x1b') ? without_escapes(raw) : std::string{};
        const std::string_view line = trimmed(without_quotes(clean.empty() ? raw : clean));
        if (line.empty()) {
            flush();
            return;
        }
        const std::size_t stamp = log_stamp(line);
        const std::string_view body = line.substr(stamp);
        if (belongs_to_last(line, stamp != 0)) {
            line_.text += ' ';
            line_.text += body;
            ++pieces_;
        } else {
            flush();
            line_ = {std::string{body}, number};
            has_stamp_ = stamp != 0;
            pieces_ = 1;
        }
        last_length_ = line.size();
        last_ends_in_blank_ = ends_in_blank;
    }
    void flush() {
        if (!line_.text.empty()) {
            sink_(line_);
            line_.text.clear();
        }
    }

private:
    [[nodiscard]] bool belongs_to_last(std::string_view line, bool has_stamp) const {
        if (line_.text.empty() || pieces_ >= most_pieces || has_stamp) {
            return false;
        }
        // Would it have fitted into the line before?
        const std::size_t with_first_word = last_length_ + 1 + first_token(line).word.size();
        if (with_first_word <= narrowest_mail || last_length_ > widest_mail) {
            return false;
        }
        return has_stamp_ || last_ends_in_blank_ || is_open_at_end(line_.text) ||
               goes_on_at_start(line, line_.text);
    }

    const std::function<void(const LogLine&)>& sink_;
    LogLine line_{};
    bool has_stamp_ = false;
    bool last_ends_in_blank_ = false;
    std::size_t last_length_ = 0;
    std::size_t pieces_ = 0;
};

}  // namespace

std::size_t log_stamp(std::string_view line) {
    constexpr int most_tokens = 8;
    std::size_t at = 0;
    std::size_t end = 0;
    for (int i = 0; i < most_tokens && at < line.size(); ++i) {
        const std::string_view rest = line.substr(at);
        if (const std::size_t bracket = bracket_stamp(rest); bracket != 0) {
            end = at += bracket;
            continue;
        }
        const Token token = first_token(rest);
        const Stamp stamp = stamp_of(token.word);
        if (stamp == Stamp::none || token.length >= rest.size()) {
            break;
        }
        at += token.length;
        end = stamp == Stamp::strong ? at : end;
    }
    const std::size_t kernel = kernel_stamp(line.substr(end), end != 0);
    return end + kernel + (kernel == 0 ? 0 : log_stamp(line.substr(end + kernel)));
}

std::string without_wide_characters(std::string_view text) {
    const bool is_little = text.starts_with("\xFF\xFE");
    if (!is_little && !text.starts_with("\xFE\xFF")) {
        return std::string{text};
    }
    std::string narrow;
    for (std::size_t at = 2; at + 1 < text.size(); at += 2) {
        const char low = text[at + (is_little ? 0 : 1)];
        const char high = text[at + (is_little ? 1 : 0)];
        narrow += high == '\0' ? low : '?';
    }
    return narrow;
}

void for_each_log_line(std::string_view text, const std::function<void(const LogLine&)>& sink) {
    Joiner joiner{sink};
    std::size_t number = 0;
    while (!text.empty()) {
        joiner.add(take_line(text), ++number);
    }
    joiner.flush();
}

}  // namespace hvp::tool
