#include "tool/replay/recorded_state.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

#include "tool/base/text.hpp"
#include "tool/record/event.hpp"

namespace hvp::tool {
namespace {

using Moment = RecordedState::Moment;

std::string hexadecimal(std::uint64_t number) {
    return fmt::format("{:#x}", number);
}

std::optional<std::uint64_t> number_of_text(std::string_view text) {
    const bool has_prefix = text.starts_with("0x");
    text.remove_prefix(has_prefix ? 2 : 0);
    std::uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, has_prefix ? 16 : 10);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty()
               ? std::optional{value}
               : std::nullopt;
}

std::optional<Moment> moment_of(std::string_view word) {
    for (const Moment moment : {Moment::entry, Moment::failed_entry, Moment::exit}) {
        if (word_of(moment) == word) {
            return moment;
        }
    }
    return std::nullopt;
}

// What `now` has and `before` has not, or with another value; the key as `name` writes it.
template <typename Values, typename Name>
Json changes(const Values& now, const Values& before, Name name) {
    Json changed = Json::object();
    for (const auto& [key, value] : now) {
        const auto old = before.find(key);
        if (old == before.end() || old->second != value) {
            changed[name(key)] = hexadecimal(value);
        }
    }
    return changed;
}

std::optional<std::uint64_t> unsigned_at(const Json& line, const char* key) {
    const auto found = line.find(key);
    return found != line.end() && found->is_number_unsigned()
               ? std::optional{found->get<std::uint64_t>()}
               : std::nullopt;
}

std::optional<std::string> text_at(const Json& line, const char* key) {
    const auto found = line.find(key);
    return found != line.end() && found->is_string() ? std::optional{found->get<std::string>()}
                                                     : std::nullopt;
}

// Takes the changes into a state; false if one is no number.
bool take_changes(const Json& line, RecordedState& state) {
    const auto fields = line.find("fields");
    const auto registers = line.find("registers");
    if (fields == line.end() || registers == line.end() || !fields->is_object() ||
        !registers->is_object()) {
        return false;
    }
    for (const auto& [key, value] : fields->items()) {
        const auto encoding = number_of_text(key);
        const auto number = value.is_string() ? number_of_text(value.get<std::string>())
                                              : std::optional<std::uint64_t>{};
        constexpr std::uint64_t largest_encoding = 0x7FFF;
        if (!encoding || !number || *encoding > largest_encoding) {
            return false;
        }
        state.fields[static_cast<std::uint32_t>(*encoding)] = *number;
    }
    for (const auto& [name, value] : registers->items()) {
        const auto number = value.is_string() ? number_of_text(value.get<std::string>())
                                              : std::optional<std::uint64_t>{};
        if (!number) {
            return false;
        }
        state.registers[name] = *number;
    }
    return true;
}

bool take_line_of(const Json& line, RecordedState& state) {
    const auto at = text_at(line, "at");
    const auto moment = at ? moment_of(*at) : std::nullopt;
    const auto number = unsigned_at(line, "n");
    const auto cpu = unsigned_at(line, "cpu");
    const auto t = unsigned_at(line, "t");
    const auto vmcs = text_at(line, "vmcs");
    const auto address = vmcs ? number_of_text(*vmcs) : std::nullopt;
    constexpr std::uint64_t most_processors = 8;
    if (!moment || !number || !cpu || *cpu >= most_processors || !t || !address) {
        return false;
    }
    state.moment = *moment;
    state.number = *number;
    state.cpu = static_cast<unsigned>(*cpu);
    state.t = *t;
    state.vmcs = *address;
    state.instruction = text_at(line, "instruction").value_or("");
    state.place = text_at(line, "place").value_or("");
    return take_changes(line, state);
}

}  // namespace

std::string_view word_of(Moment moment) {
    switch (moment) {
        case Moment::entry:
            return "entry";
        case Moment::failed_entry:
            return "failed entry";
        case Moment::exit:
            return "exit";
    }
    return "";
}

std::string write_states(std::span<const RecordedState> states) {
    std::string text;
    RecordedState before;
    for (const RecordedState& state : states) {
        Json line{{"at", word_of(state.moment)},
                  {"n", state.number},
                  {"cpu", state.cpu},
                  {"t", state.t},
                  {"vmcs", hexadecimal(state.vmcs)}};
        for (const auto& [key, words] :
             {std::pair{"instruction", &state.instruction}, std::pair{"place", &state.place}}) {
            if (!words->empty()) {
                line[key] = *words;
            }
        }
        line["fields"] = changes(state.fields, before.fields, hexadecimal);
        line["registers"] = changes(state.registers, before.registers,
                                    [](const std::string& name) { return name; });
        text += line.dump() + "\n";
        before = state;
    }
    return text;
}

std::expected<std::vector<RecordedState>, std::string> read_states(std::string_view text) {
    std::vector<RecordedState> states;
    RecordedState state;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const Json line = Json::parse(take_line(text), nullptr, false);
        if (!line.is_object() || !take_line_of(line, state)) {
            return std::unexpected{
                fmt::format("line {} is no state of a guest as docs/recording.md has it", number)};
        }
        states.push_back(state);
    }
    return states;
}

}  // namespace hvp::tool
