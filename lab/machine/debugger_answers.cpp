#include "lab/machine/debugger_answers.hpp"

#include <algorithm>
#include <charconv>

namespace hvp::lab {
namespace {

constexpr std::size_t longest_register_name = 6;

std::string_view line_of_answer(std::string_view& text) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (line.ends_with('\r')) {
        line.remove_suffix(1);
    }
    return line;
}

template <typename T>
std::optional<T> number_at(std::string_view text, int base) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc{} ? std::optional{value} : std::nullopt;
}

// `rip: fffff801_a5e52ac8`, `r8 : 00000000_00000001`
void read_register(std::string_view line, DebuggerStop& stop) {
    constexpr std::size_t digits_with_underscore = 17;
    const std::size_t colon = line.find(':');
    if (colon == 0 || colon > longest_register_name ||
        line.size() != colon + 2 + digits_with_underscore) {
        return;
    }
    std::string_view name = line.substr(0, colon);
    name = name.substr(0, name.find(' '));
    std::string digits{line.substr(colon + 2)};
    std::erase(digits, '_');
    if (const auto value = number_at<std::uint64_t>(digits, 16)) {
        stop.registers.emplace(name, *value);
    }
}

// `(0) [0x00000051ad84] 0010:fffff801a5e51d84 (unk. ctxt): ud2                       ; 0f0b`
void read_instruction(std::string_view line, DebuggerStop& stop) {
    const std::size_t context = line.find(" ctxt): ");
    const std::size_t bytes = line.rfind(" ; ");
    if (!line.starts_with('(') || context == std::string_view::npos ||
        bytes == std::string_view::npos || bytes < context || !stop.instruction.empty()) {
        return;
    }
    const std::size_t start = line.find(": ", context) + 2;
    const std::string_view text = line.substr(start, bytes - start);
    stop.instruction = text.substr(0, text.find_last_not_of(' ') + 1);
}

// `idtr:base=0xfffff80000046000, limit=0x0`
void read_table_register(std::string_view line, DebuggerStop& stop) {
    for (const std::string_view table : {"gdtr", "idtr"}) {
        if (!line.starts_with(table)) {
            continue;
        }
        for (const std::string_view part : {":base=0x", "limit=0x"}) {
            const std::size_t at = line.find(part);
            const auto value = at == std::string_view::npos
                                   ? std::nullopt
                                   : number_at<std::uint64_t>(line.substr(at + part.size()), 16);
            if (value) {
                stop.registers.emplace(
                    std::string{table} + (part.starts_with(':') ? " base" : " limit"), *value);
            }
        }
    }
}

// `CR3=0x000000039000`, `eflags 0x00000002: id vip …`
void read_special_register(std::string_view line, DebuggerStop& stop) {
    const std::size_t value = line.find("0x");
    if (value == std::string_view::npos) {
        return;
    }
    const auto number = number_at<std::uint64_t>(line.substr(value + 2), 16);
    if (number && line.starts_with("eflags ")) {
        stop.registers.emplace("eflags", *number);
    } else if (number && line.starts_with("CR") && value == 4 && line[3] == '=') {
        stop.registers.emplace(std::string{"cr"} + line[2], *number);
    }
}

// `0x000000001fffe010 <bogus+      16>:	0x00000000	0x00000000`
void read_words(std::string_view line, DebuggerStop& stop) {
    if (!line.starts_with("0x") || !line.contains(" <bogus+")) {
        return;
    }
    auto address = number_at<std::uint64_t>(line.substr(2), 16);
    std::size_t at = line.find(">:");
    while (address && (at = line.find("0x", at)) != std::string_view::npos) {
        at += 2;
        const auto word = number_at<std::uint32_t>(line.substr(at), 16);
        if (!word) {
            return;
        }
        stop.words[*address] = *word;
        *address += sizeof(*word);
    }
}

}  // namespace

std::optional<std::uint64_t> DebuggerStop::find(std::string_view name) const {
    const auto found = registers.find(name);
    return found == registers.end() ? std::nullopt : std::optional{found->second};
}

std::optional<std::uint64_t> DebuggerStop::memory(std::uint64_t address, unsigned bytes) const {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) {
        const std::uint64_t place = address + i;
        const auto word = words.find(place & ~std::uint64_t{3});
        if (word == words.end()) {
            return std::nullopt;
        }
        const std::uint64_t byte = (word->second >> (8 * (place & 3))) & 0xFF;
        value |= byte << (8 * i);
    }
    return value;
}

std::vector<DebuggerStop> read_stops(std::string_view console) {
    constexpr std::string_view caught = ") Caught ";
    constexpr std::string_view next = "Next at t=";
    std::vector<DebuggerStop> stops;
    std::string_view why;
    while (!console.empty()) {
        const std::string_view line = line_of_answer(console);
        if (const std::size_t at = line.find(caught); at != std::string_view::npos) {
            why = line.substr(at + caught.size());
        } else if (line.starts_with(next)) {
            DebuggerStop stop;
            stop.why = why;
            stop.tick = number_at<std::uint64_t>(line.substr(next.size()), 10).value_or(0);
            stops.push_back(std::move(stop));
            why = {};
        } else if (!stops.empty()) {
            read_register(line, stops.back());
            read_special_register(line, stops.back());
            read_words(line, stops.back());
            read_instruction(line, stops.back());
            read_table_register(line, stops.back());
        }
    }
    return stops;
}

}  // namespace hvp::lab
