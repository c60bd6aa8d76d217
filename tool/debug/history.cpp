#include "tool/debug/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "tool/base/text.hpp"

namespace hvp::tool {

Position Position::at_tick(std::uint64_t tick) {
    return {.tick = tick, .commands = fmt::format("sba {}\nc\n", tick)};
}

History::History(const Recording& recording) : last_tick_{recording.log().last_tick()} {
    const auto& processors = recording.processors().processors();
    if (const auto processor = processors.find(0); processor != processors.end()) {
        for (const ProcessorRecord::Exit& exit : processor->second.exits) {
            exits_.push_back({.t = exit.t,
                              .reason = recording.processors().reason(exit.reason_number),
                              .qualification = exit.qualification});
        }
        for (const ProcessorRecord::Entry& entry : processor->second.entries) {
            entries_.push_back(entry.t);
        }
    }
    for (const Event& event : recording.timeline().events()) {
        if (event.is("processor", "VmLaunch") || event.is("processor", "VmResume")) {
            attempts_.push_back({.t = event.t, .vmcs = event.number("vmcs")});
        }
    }
}

// The log names the tick of the instruction that exits. The debugger stops behind it, at the first
// instruction of the VMM: from just before, so that an exit by an interrupt is not missed either.
Position History::at_exit(std::uint64_t number) const {
    const std::uint64_t tick = exit(number).t;
    return {.tick = tick + 1,
            .exit = number,
            .commands = fmt::format("sba {}\nc\nvmexitbp\nc\nvmexitbp\n", tick - 1)};
}

Position History::at_entry(std::uint64_t number) const {
    Position position = Position::at_tick(entries_[number - 1]);
    position.entry = number;
    return position;
}

std::expected<Position, std::string> History::find(const StopAt& at) const {
    switch (at.kind) {
        case StopAt::Kind::tick:
            if (at.number > last_tick_) {
                return std::unexpected{fmt::format("tick:{}: the last tick of this run's log is {}",
                                                   at.number, last_tick_)};
            }
            return Position::at_tick(at.number);
        case StopAt::Kind::exit_number:
            if (at.number > exits()) {
                return std::unexpected{
                    fmt::format("exit:{}: VM exits of this run: {}", at.number, exits())};
            }
            return at_exit(at.number);
        case StopAt::Kind::entry_number:
            if (at.number > entries()) {
                return std::unexpected{
                    fmt::format("entry:{}: VM entries of this run: {}", at.number, entries())};
            }
            return at_entry(at.number);
        case StopAt::Kind::exit_reason:
        case StopAt::Kind::function:
            break;
    }
    const auto found = std::ranges::find_if(
        exits_, [&](const Exit& exit) { return lower_case(exit.reason) == lower_case(at.name); });
    if (found == exits_.end()) {
        std::vector<std::string> reasons;
        for (const Exit& exit : exits_) {
            if (std::ranges::find(reasons, exit.reason) == reasons.end()) {
                reasons.push_back(exit.reason);
            }
        }
        return std::unexpected{
            fmt::format("exit:{}: no VM exit of this run has this reason; {}", printable(at.name),
                        reasons.empty() ? "it has no VM exits"
                                        : fmt::format("there are {}", fmt::join(reasons, ", ")))};
    }
    return at_exit(static_cast<std::uint64_t>(found - exits_.begin()) + 1);
}

std::optional<Position> History::exit_after(const Position& here) const {
    const auto found =
        std::ranges::find_if(exits_, [&](const Exit& exit) { return exit.t >= here.tick; });
    const auto number =
        here.exit != 0 ? here.exit + 1 : static_cast<std::uint64_t>(found - exits_.begin()) + 1;
    return number > exits() ? std::nullopt : std::optional{at_exit(number)};
}

std::optional<Position> History::exit_before(const Position& here) const {
    const auto found =
        std::ranges::find_if(exits_, [&](const Exit& exit) { return exit.t >= here.tick; });
    const auto number =
        here.exit != 0 ? here.exit - 1 : static_cast<std::uint64_t>(found - exits_.begin());
    return number == 0 ? std::nullopt : std::optional{at_exit(number)};
}

std::optional<Position> History::entry_after(const Position& here) const {
    const std::uint64_t from = here.entry != 0 ? here.tick + 1 : here.tick;
    const auto found = std::ranges::lower_bound(entries_, from);
    return found == entries_.end()
               ? std::nullopt
               : std::optional{at_entry(static_cast<std::uint64_t>(found - entries_.begin()) + 1)};
}

bool History::is_in_guest(const Position& here) const {
    if (here.exit != 0) {
        return false;
    }
    const auto before = [&](std::uint64_t t) { return t < here.tick; };
    const auto entered = std::ranges::count_if(entries_, before);
    const auto left = std::ranges::count_if(exits_, before, &Exit::t);
    return entered > left;
}

std::optional<std::uint64_t> History::vmcs_at(const Position& here) const {
    std::optional<std::uint64_t> vmcs;
    for (const Attempt& attempt : attempts_) {
        if (attempt.t <= here.tick) {
            vmcs = attempt.vmcs;
        }
    }
    return vmcs;
}

}  // namespace hvp::tool
