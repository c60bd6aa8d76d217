#include "tool/debug/stop_at.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "tool/base/text.hpp"

namespace hvp::tool {
namespace {

std::optional<std::uint64_t> whole_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_whole = error == std::errc{} && end == text.data() + text.size();
    return is_whole ? std::optional{value} : std::nullopt;
}

}  // namespace

std::expected<StopAt, std::string> read_stop_at(std::string_view text) {
    const std::size_t colon = text.find(':');
    const std::string_view kind = text.substr(0, colon);
    const std::string_view rest =
        colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
    const auto number = whole_number(rest);
    if (number && *number == 0) {
        return std::unexpected{
            fmt::format("{}: ticks, exits and entries count from 1", printable(text))};
    }
    if (kind == "tick" && number) {
        return StopAt{.kind = StopAt::Kind::tick, .number = *number};
    }
    if (kind == "entry" && number) {
        return StopAt{.kind = StopAt::Kind::entry_number, .number = *number};
    }
    if (kind == "exit" && number) {
        return StopAt{.kind = StopAt::Kind::exit_number, .number = *number};
    }
    const bool is_word = rest.find_first_not_of("0123456789") != std::string_view::npos;
    if (kind == "exit" && is_word) {
        return StopAt{.kind = StopAt::Kind::exit_reason, .name = std::string{rest}};
    }
    const bool is_name = !text.empty() && (text.front() < '0' || text.front() > '9') &&
                         text.find_first_of(" -/") == std::string_view::npos;
    if (is_name && (colon == std::string_view::npos || text.contains("::"))) {
        return StopAt{.kind = StopAt::Kind::function, .name = std::string{text}};
    }
    return std::unexpected{fmt::format(
        "{}: this is no place; write exit:3, exit:CPUID, entry:2, tick:458914 or a function's name",
        printable(text))};
}

std::string debug_complaint(const DebugOptions& options) {
    const RunOptions& run = options.run;
    if (run.cpus != 1 || run.json || run.record || !run.processor_log) {
        return "debug shows one processor, as text, by the processor's log: without --cpus, "
               "--json, "
               "--record and --no-processor-log";
    }
    const auto at = read_stop_at(options.at);
    return at ? "" : "--at " + at.error();
}

}  // namespace hvp::tool
