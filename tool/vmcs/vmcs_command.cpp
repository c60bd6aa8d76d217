#include "tool/vmcs/vmcs_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <expected>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include "tool/base/files.hpp"
#include "tool/base/text.hpp"
#include "tool/vmcs/recorded_run.hpp"
#include "tool/vmcs/vmcs_text.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;
using Moment = RecordedState::Moment;

// What `exit:3` asks for.
struct Wanted {
    Moment moment{};
    std::uint64_t number = 0;
};

std::optional<Wanted> wanted(std::string_view text) {
    const bool at_exit = text.starts_with("exit:");
    if (!at_exit && !text.starts_with("entry:")) {
        return std::nullopt;
    }
    text.remove_prefix(text.find(':') + 1);
    Wanted result{.moment = at_exit ? Moment::exit : Moment::entry, .number = 0};
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), result.number);
    return error == std::errc{} && end == text.data() + text.size() && result.number > 0
               ? std::optional{result}
               : std::nullopt;
}

// A failed entry is an entry for whoever asks.
std::expected<std::size_t, Failure> find(const std::vector<RecordedState>& states,
                                         const std::string& text) {
    const auto what = wanted(text);
    if (!what) {
        return std::unexpected{
            Failure{ExitStatus::bad_usage,
                    fmt::format("{}: a moment is exit:N or entry:N, N from 1", printable(text))}};
    }
    const auto is_wanted = [&](const RecordedState& state) {
        return (state.moment == Moment::exit) == (what->moment == Moment::exit) &&
               state.number == what->number;
    };
    const auto found = std::ranges::find_if(states, is_wanted);
    if (found != states.end()) {
        return static_cast<std::size_t>(found - states.begin());
    }
    const auto count = std::ranges::count_if(states, [&](const RecordedState& state) {
        return (state.moment == Moment::exit) == (what->moment == Moment::exit);
    });
    return std::unexpected{
        Failure{ExitStatus::bad_usage,
                fmt::format("{}: the recording has {} {}{}", text, count,
                            what->moment == Moment::exit ? "exit" : "entr",
                            what->moment == Moment::exit ? (count == 1 ? "" : "s")
                                                         : (count == 1 ? "y" : "ies"))}};
}

std::expected<std::string, Failure> answer(const VmcsOptions& options, const fs::path& folder) {
    const auto states = read_recording(folder);
    if (!states) {
        return std::unexpected{states.error()};
    }
    if (!options.difference.empty()) {
        const auto from = find(*states, options.difference[0]);
        const auto to = find(*states, options.difference[1]);
        if (!from || !to) {
            return std::unexpected{from ? to.error() : from.error()};
        }
        return options.json ? vmcs_json((*states)[*to], &(*states)[*from]).dump(2) + "\n"
                            : vmcs_difference((*states)[*from], (*states)[*to]);
    }
    const auto at = find(*states, options.at.empty() ? "entry:1" : options.at);
    if (!at) {
        return std::unexpected{at.error()};
    }
    const RecordedState& state = (*states)[*at];
    const RecordedState* before = *at == 0 ? nullptr : &(*states)[*at - 1];
    if (options.json) {
        return vmcs_json(state, before).dump(2) + "\n";
    }
    const auto processor = processor_of(folder);
    return vmcs_text(state, before,
                     {.processor = processor ? &*processor : nullptr, .all_fields = options.all});
}

}  // namespace

ExitStatus vmcs(const VmcsOptions& options, const Repository& repository) {
    const fs::path folder =
        options.run.empty() ? repository.runs() / "latest" : fs::path{options.run};
    const auto text = answer(options, folder);
    if (!text) {
        fmt::print(stderr, "playground: {}\n", text.error().sentence);
        return text.error().status;
    }
    fmt::print("{}", *text);
    return ExitStatus::passed;
}

}  // namespace hvp::tool
