#include "tool/debug/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>

#include "tool/base/text.hpp"

namespace hvp::tool {
namespace {

constexpr std::string_view help_text =
    "step [N]        execute one instruction, or N\n"
    "next exit       go to the next VM exit\n"
    "next entry      go to the next VM entry\n"
    "back            go to the VM exit before\n"
    "goto PLACE      exit:3, exit:CPUID, entry:2, tick:458914, or a function: its first call\n"
    "break FUNCTION  let continue stop where it begins\n"
    "continue        go on to the next break\n"
    "registers       show the registers\n"
    "vmcs            show the main fields of the VMCS\n"
    "stack           show the code addresses on the stack\n"
    "memory ADDRESS  show 64 bytes at a linear address\n"
    "raw COMMAND     a command of the emulator's debugger, here; it changes nothing that stays\n"
    "quit            end the session\n";

constexpr std::uint64_t most_steps = 1'000'000;

template <typename T>
std::optional<T> whole(std::string_view text, int base) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return !text.empty() && error == std::errc{} && end == text.data() + text.size()
               ? std::optional{value}
               : std::nullopt;
}

}  // namespace

std::string Session::go_to(const Position& position) {
    Sight sight;
    sight.vmcs = history_.vmcs_at(position);
    sight.console = replay_(position.commands + look(sight.vmcs));
    const auto stops = lab::read_stops(sight.console);
    if (stops.empty() || !stops.back().find("rip")) {
        return "the replay did not get there\n";
    }
    sight.stop = stops.back();
    // Behind an exit the tick is that of the instruction that exited, or one more if it was
    // executed.
    if (position.exit != 0 &&
        (sight.stop.why != "VMEXIT breakpoint" || sight.stop.tick > position.tick ||
         sight.stop.tick + 1 < position.tick)) {
        return "the replay did not get there\n";
    }
    if (position.exit == 0 && stops.back().tick < position.tick) {
        return "the machine ends before this place\n";
    }
    here_ = position;
    here_.tick = sight.stop.tick;
    sight_ = std::move(sight);
    names_.find_symbols(addresses_in(sight_));
    return place_text(sight_, here_, history_, names_) + registers_text(sight_) +
           disassembly_text(sight_, names_) + vmcs_text(sight_, names_) +
           stack_text(sight_, names_);
}

std::string Session::answer(std::string_view line) {
    line = trimmed(line);
    const std::size_t blank = std::min(line.find(' '), line.size());
    const std::string_view command = line.substr(0, blank);
    const std::string_view argument = trimmed(line.substr(blank));
    if (command == "memory") {
        const auto address =
            whole<std::uint64_t>(argument.substr(argument.starts_with("0x") ? 2 : 0), 16);
        return address ? raw(fmt::format("x /16wx {:#x}", *address))
                       : "memory takes a hexadecimal address\n";
    }
    if (command == "raw") {
        return argument.empty() ? "raw takes a command of the emulator's debugger\n"
                                : raw(argument);
    }
    if (command == "step" || command == "next" || command == "back" || command == "goto") {
        return move(command, argument);
    }
    if (command == "break") {
        return add_break(argument);
    }
    if (line == "continue") {
        return go_on();
    }
    if (line.empty()) {
        return "";
    }
    if (line == "registers") {
        return registers_text(sight_);
    }
    if (line == "vmcs") {
        return vmcs_text(sight_, names_);
    }
    if (line == "stack") {
        return stack_text(sight_, names_);
    }
    if (line == "help") {
        return std::string{help_text};
    }
    if (line == "quit") {
        is_over_ = true;
        return "";
    }
    return fmt::format("{}: no such command; help lists them\n", printable(line));
}

std::string Session::move(std::string_view command, std::string_view argument) {
    if (command == "step") {
        return step(argument);
    }
    if (command == "goto") {
        const auto place = find(argument);
        return place ? go_to(*place) : place.error() + "\n";
    }
    if (command == "back" && argument.empty()) {
        const auto place = history_.exit_before(here_);
        return place ? go_to(*place) : "there is no VM exit before this place\n";
    }
    if (command == "next" && argument == "exit") {
        const auto place = history_.exit_after(here_);
        return place ? go_to(*place) : "there is no VM exit after this place\n";
    }
    if (command == "next" && argument == "entry") {
        const auto place = history_.entry_after(here_);
        return place ? go_to(*place) : "there is no VM entry after this place\n";
    }
    return command == "next" ? "next takes exit or entry\n" : "back takes nothing\n";
}

std::expected<Position, std::string> Session::find(std::string_view place) const {
    const auto at = read_stop_at(place);
    if (!at || at->kind != StopAt::Kind::function) {
        return at ? history_.find(*at) : std::unexpected{at.error()};
    }
    const auto addresses = lookup_(at->name);
    if (addresses.empty()) {
        return std::unexpected{
            fmt::format("{}: the PDBs of driver and kernel have no such function with code of its "
                        "own (it may be inlined)",
                        printable(at->name))};
    }
    const auto reached = reach("", addresses);
    return reached
               ? std::expected<Position, std::string>{*reached}
               : std::unexpected{fmt::format("{}: not executed up to tick {}, the last in the log",
                                             printable(at->name), history_.last_tick())};
}

std::string Session::add_break(std::string_view name) {
    const auto addresses = name.empty() ? std::vector<std::uint64_t>{} : lookup_(name);
    breaks_.insert(breaks_.end(), addresses.begin(), addresses.end());
    return addresses.empty()
               ? fmt::format("{}: no such function with code of its own\n", printable(name))
               : fmt::format("break at {}\n", names_.module_and_offset(addresses.front()));
}

std::string Session::go_on() {
    if (breaks_.empty()) {
        return "there is no break yet: break FUNCTION\n";
    }
    const auto reached = reach(here_.commands + "s\n", breaks_);
    return reached ? go_to(*reached) : "no break is reached before the end of the run\n";
}

// The first of the addresses that is executed, from where the commands lead to.
std::optional<Position> Session::reach(const std::string& commands,
                                       const std::vector<std::uint64_t>& addresses) const {
    std::string all = commands;
    for (const std::uint64_t address : addresses) {
        all += fmt::format("lb {:#x}\n", address);
    }
    // No further than the run went: it may have been stopped.
    all += fmt::format("sba {}\nc\nregs\n", history_.last_tick());
    const auto stops = lab::read_stops(replay_(all));
    const auto rip = stops.empty() ? std::nullopt : stops.back().find("rip");
    if (!rip || std::ranges::find(addresses, *rip) == addresses.end()) {
        return std::nullopt;
    }
    return Position::at_tick(stops.back().tick);
}

std::string Session::step(std::string_view argument) {
    const auto count =
        argument.empty() ? std::optional<std::uint64_t>{1} : whole<std::uint64_t>(argument, 10);
    if (!count || *count == 0 || *count > most_steps) {
        return fmt::format("step takes a number from 1 to {}\n", most_steps);
    }
    Position position = here_;
    position.exit = 0;
    position.entry = 0;
    position.tick = here_.tick + 1;
    position.commands += fmt::format("s {}\n", *count);
    return go_to(position);
}

// What follows the last stop there is the answer, but for the debugger's own last line.
std::string Session::raw(std::string_view line) const {
    const std::string console = replay_(fmt::format("{}{}\n", here_.commands, line));
    const std::size_t stop = console.find(fmt::format("Next at t={}\n", here_.tick));
    std::string_view rest{console};
    rest.remove_prefix(std::min(stop, rest.size()));
    std::ignore = take_line(rest);  // the tick
    std::ignore = take_line(rest);  // and the instruction there
    std::string answer;
    while (!rest.empty()) {
        const std::string_view one = take_line(rest);
        if (one.starts_with("(0).[")) {
            break;
        }
        if (one != "vmexit switch break disabled") {  // our own command
            answer += fmt::format("{}\n", one);
        }
    }
    return answer;
}

}  // namespace hvp::tool
