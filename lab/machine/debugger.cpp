#include "lab/machine/debugger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hvp::lab {
namespace {

using Milliseconds = DebuggerTalk::Milliseconds;
using namespace std::chrono_literals;

constexpr Milliseconds longest_start = 60s;
constexpr Milliseconds longest_silence = 3s;
constexpr Milliseconds longest_answer = 10s;  // of the emulator to SIGINT
constexpr Milliseconds longest_step = 2s;     // for one instruction
constexpr Milliseconds longest_farewell = 20s;

constexpr std::size_t remembered_bytes = 4096;
constexpr std::size_t longest_evidence = 1 << 18;

// The kernel's clock interrupt stops the machine less than a million ticks late. A machine that is
// later than this has no processor left that serves its clock interrupt.
constexpr std::uint64_t tolerance_ticks = 10'000'000;

// More instructions than one clock interrupt of the kernel takes, fewer than between two of them.
constexpr const char* leave_clock_interrupt = "s all 5000\n";

std::string evidence_commands(unsigned processors) {
    std::string commands;
    for (unsigned cpu = 0; cpu < processors; ++cpu) {
        commands += fmt::format("set $cpu = {}\nregs\ncreg\nsreg\nprint-stack 32\n", cpu);
    }
    return commands + "q\n";
}

// The tick in `Next at t=8599900003`, 0 when there is none.
std::uint64_t tick_of_stop(std::string_view text) {
    constexpr std::string_view mark = "Next at t=";
    const std::size_t found = text.rfind(mark);
    std::uint64_t tick = 0;
    if (found != std::string_view::npos) {
        std::from_chars(text.data() + found + mark.size(), text.data() + text.size(), tick);
    }
    return tick;
}

// `<bochs:12> ` at the very end.
bool ends_with_prompt(std::string_view text) {
    constexpr std::string_view start = "<bochs:";
    const std::size_t found = text.rfind(start);
    if (found == std::string_view::npos || !text.ends_with("> ")) {
        return false;
    }
    const std::string_view number =
        text.substr(found + start.size(), text.size() - found - start.size() - 2);
    return !number.empty() &&
           std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

DebuggerTalk::Action DebuggerTalk::on_console(std::string_view bytes, Milliseconds now) {
    last_moved_ = now;
    if (state_ == State::leaving) {
        evidence_ +=
            bytes.substr(0, longest_evidence - std::min(longest_evidence, evidence_.size()));
        return {};
    }
    said_ += bytes;
    if (said_.size() > remembered_bytes) {
        said_.erase(0, said_.size() - remembered_bytes);
    }
    if (state_ == State::starting && said_.contains("Next at t=")) {
        state_ = State::running;
    }
    if (!ends_with_prompt(said_)) {
        return {};
    }
    Action action = on_prompt(now);
    said_.clear();
    return action;
}

DebuggerTalk::Action DebuggerTalk::on_log(std::uint64_t tick, Milliseconds now) {
    last_moved_ = now;
    const bool late =
        tick > machine_.timeout_ticks && tick - machine_.timeout_ticks > tolerance_ticks;
    return state_ == State::running && late
               ? enter(State::overdue, now, {.interrupt_in_pause = true})
               : Action{};
}

DebuggerTalk::Action DebuggerTalk::on_prompt(Milliseconds now) {
    if (state_ == State::leaving) {
        return {};
    }
    if (said_.contains("Caught time breakpoint") || state_ == State::overdue) {
        return gather(Ending::timeout, now);
    }
    switch (state_) {
        case State::probing:
            if (machine_.processors == 1) {
                return enter(State::stepping, now, {.type = "s\n"});
            }
            return tick_of_stop(said_) > machine_.timeout_ticks
                       ? gather(Ending::timeout, now)
                       : enter(State::running, now, {.type = "c\n"});
        case State::stopping:
            return gather(Ending::halted, now);
        case State::running:
            // A guest or a driver may execute `xchg bx, bx` too: the machine continues while it has
            // ticks left.
            return tick_of_stop(said_) > machine_.timeout_ticks
                       ? enter(State::settling, now, {.type = leave_clock_interrupt})
                       : enter(State::running, now, {.type = "c\n"});
        case State::settling:
            // The others' clock interrupts stop the machine as well.
            return said_.contains("Magic breakpoint")
                       ? enter(State::settling, now, {.type = leave_clock_interrupt})
                       : gather(Ending::timeout, now);
        case State::starting:
        case State::stepping:
            return enter(State::running, now, {.type = "c\n"});
        case State::overdue:
        case State::leaving:
            break;
    }
    return {};
}

DebuggerTalk::Action DebuggerTalk::on_time(Milliseconds now) {
    const Milliseconds waited = now - entered_;
    switch (state_) {
        case State::running:
            return now - last_moved_ < longest_silence
                       ? Action{}
                       : enter(State::probing, now, {.interrupt = true});
        case State::stepping:
            return waited < longest_step ? Action{}
                                         : enter(State::stopping, now, {.interrupt = true});
        case State::starting:
            if (waited < longest_start) {
                return {};
            }
            break;
        case State::probing:
        case State::stopping:
            if (waited < longest_answer) {
                return {};
            }
            break;
        case State::settling:
        case State::overdue:
            if (waited < longest_answer) {
                return {};
            }
            ending_ = Ending::timeout;  // that is certain; only the place of the hang is unknown
            break;
        case State::leaving:
            return {.kill = waited >= longest_farewell};
    }
    if (ending_ == Ending::ended) {
        ending_ = Ending::unresponsive;
    }
    return enter(State::leaving, now, {.kill = true});
}

DebuggerTalk::Action DebuggerTalk::gather(Ending ending, Milliseconds now) {
    ending_ = ending;
    evidence_ = said_;
    return enter(State::leaving, now, {.type = evidence_commands(machine_.processors)});
}

DebuggerTalk::Action DebuggerTalk::enter(State state, Milliseconds now, Action action) {
    state_ = state;
    entered_ = now;
    last_moved_ = now;
    return action;
}

}  // namespace hvp::lab
