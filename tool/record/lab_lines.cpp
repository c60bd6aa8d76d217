#include "tool/record/lab_lines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <string>
#include <utility>

#include "tool/base/text.hpp"

namespace hvp::tool {
namespace {

constexpr std::array reserved_keys{"t", "cpu", "from", "event"};

bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_event_name(std::string_view word) {
    return !word.empty() && is_upper(word[0]) && std::ranges::all_of(word, [](char c) {
        return is_upper(c) || is_lower(c) || is_digit(c);
    });
}

bool is_key(std::string_view word) {
    return !word.empty() && is_lower(word[0]) && std::ranges::all_of(word, [](char c) {
        return is_lower(c) || is_digit(c) || c == '_';
    }) && std::ranges::find(reserved_keys, word) == reserved_keys.end();
}

std::optional<std::uint64_t> number(std::string_view text, int base) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional{value}
                                                                    : std::nullopt;
}

std::string_view take_until(std::string_view& text, std::string_view stops) {
    const std::string_view word = text.substr(0, text.find_first_of(stops));
    text.remove_prefix(word.size());
    return word;
}

void skip_spaces(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
}

// `key=value` or `key="value"`
std::optional<std::pair<std::string_view, Json>> take_field(std::string_view& text) {
    const std::string_view key = take_until(text, "= ");
    if (!is_key(key) || !text.starts_with('=')) {
        return std::nullopt;
    }
    text.remove_prefix(1);
    if (text.starts_with('"')) {
        text.remove_prefix(1);
        const std::size_t end = text.find('"');
        if (end == std::string_view::npos) {
            return std::nullopt;
        }
        std::pair field{key, Json(text.substr(0, end))};
        text.remove_prefix(end + 1);
        return text.empty() || text.starts_with(' ') ? std::optional{field} : std::nullopt;
    }
    const std::string_view value = take_until(text, " ");
    if (value.contains('"')) {
        return std::nullopt;
    }
    const auto decimal = number(value, 10);
    return std::pair{key, decimal ? Json(*decimal) : Json(value)};
}

// The lab nests twice; a line that a driver has made could do it a million times, and overflow the
// stack of the code that walks over it.
Json parse_flat(std::string_view line) {
    constexpr int deepest = 16;
    bool too_deep = false;
    const auto keep = [&](int depth, Json::parse_event_t, const Json&) {
        too_deep |= depth > deepest;
        return !too_deep;
    };
    Json json = Json::parse(line, keep, /*allow_exceptions=*/false);
    return too_deep ? Json{} : json;
}

// A driver reports an event later than it happened; `at` says when that was.
void put_where_it_happened(Event& event) {
    if (event.fields.contains("at")) {
        // Nothing happens after it was reported.
        event.t = std::min(event.t, event.number("at", event.t));
        event.fields.erase("at");
    }
}

std::vector<Event> read_debug_print(const Event& print) {
    std::vector<Event> events;
    const std::string all = print.text("text");
    std::string_view rest = all;
    while (!rest.empty()) {
        const std::string_view text = take_until(rest, "\r\n");
        rest.remove_prefix(std::min(rest.find_first_not_of("\r\n"), rest.size()));
        if (auto event = read_driver_text(text, print.t)) {
            event->cpu = print.cpu;
            events.push_back(std::move(*event));
        } else if (!text.empty()) {
            events.push_back(print);
            events.back().fields["text"] = text;
        }
    }
    return events;
}

}  // namespace

std::optional<std::vector<Event>> read_lab_line(std::string_view line) {
    const Json json = parse_flat(line);
    if (!json.is_object()) {
        return std::nullopt;
    }
    Event event;
    for (const auto& [key, value] : json.items()) {
        if (key == "t" && value.is_number_unsigned()) {
            event.t = value.get<std::uint64_t>();
        } else if (key == "cpu" && value.is_number_unsigned()) {
            event.cpu = value.get<unsigned>();
        } else if (key == "from" && value.is_string()) {
            event.from = value.get<std::string>();
        } else if (key == "event" && value.is_string()) {
            event.name = value.get<std::string>();
        } else {
            event.fields[key] = value;
        }
    }
    if (event.name.empty() || (event.from != "lab" && event.from != "driver")) {
        return std::nullopt;
    }
    if (event.is("driver", "DebugPrint")) {
        return read_debug_print(event);
    }
    if (event.from == "driver") {
        put_where_it_happened(event);
    }
    return std::vector{std::move(event)};
}

Event unreadable_line(std::string_view line, std::uint64_t tick) {
    constexpr std::size_t longest = 120;
    const std::string shown = printable(line.substr(0, longest));
    return {
        .t = tick,
        .from = "lab",
        .name = "Finding",
        .fields = {{"rule", unreadable_line_rule},
                   {"detail", fmt::format("a line of the lab cannot be read ({} bytes): {}{}",
                                          line.size(), shown, line.size() > longest ? " …" : "")}}};
}

std::optional<Event> read_driver_text(std::string_view text, std::uint64_t printed_at) {
    const std::string_view name = take_until(text, " ");
    skip_spaces(text);
    if (!is_event_name(name) || text.empty()) {
        return std::nullopt;
    }
    Event event{.t = printed_at, .cpu = 0, .from = "driver", .name = std::string{name}};
    while (!text.empty()) {
        auto field = take_field(text);
        if (!field || event.fields.contains(field->first)) {
            return std::nullopt;
        }
        event.fields[std::string{field->first}] = std::move(field->second);
        skip_spaces(text);
    }
    put_where_it_happened(event);
    return event;
}

}  // namespace hvp::tool
