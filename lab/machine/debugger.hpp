// The commands to the emulator's debugger, and the watchdog that chooses them. Pure: no clock and
// no process.
//
// A machine that hangs does so in one of two ways. It may execute for ever: then the debugger's
// time breakpoint (`sba`) stops it. Or every processor may be halted with nothing to wake it: then
// the time breakpoint never fires, and neither the console nor the log moves. But a machine that
// computes for long is silent too, so silence alone proves nothing: we stop the machine (SIGINT)
// and ask for one more instruction (`s`). A processor that executes one is not halted, and the
// machine continues.
//
// With several processors Bochs 2.7 ignores the time breakpoint, and answers `s` although all are
// halted. There the kernel looks at the ticks at each clock interrupt, on each processor, and stops
// the machine by itself (`xchg bx, bx`, Bochs' magic break); some steps later every processor has
// left its clock interrupt and is in the code that we want to report. Where no processor serves its
// clock interrupt any more we look at the ticks: in the log's lines, and in what the debugger
// prints when we stop a silent machine. Halted time counts as ticks, so this wait ends too.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace hvp::lab {

enum class Ending {
    ended,         ///< by itself
    timeout,       ///< its ticks were used up
    halted,        ///< nothing can ever execute again
    unresponsive,  ///< the emulator itself does not answer
    interrupted,   ///< the user pressed Ctrl-C
    stopped,       ///< the tool ended the run, for example because the disk is full
};

class DebuggerTalk {
public:
    using Milliseconds = std::chrono::milliseconds;

    struct Machine {
        unsigned processors = 1;
        std::uint64_t timeout_ticks = 0;
    };

    struct Action {
        bool interrupt = false;  ///< send SIGINT
        /// Send SIGINT as soon as the log pauses. Bochs 2.7 writes to its log in its signal
        /// handler: a signal that arrives while it writes to the log finds the log locked, for
        /// ever.
        bool interrupt_in_pause = false;
        bool kill = false;   ///< send SIGKILL
        std::string type{};  ///< write this to the debugger
    };

    explicit DebuggerTalk(Machine machine) : machine_{machine} {}

    [[nodiscard]] Action on_console(std::string_view bytes, Milliseconds now);
    /// The log has a new line, at this tick.
    [[nodiscard]] Action on_log(std::uint64_t tick, Milliseconds now);
    [[nodiscard]] Action on_time(Milliseconds now);

    /// Returns  why the run ended, as far as this conversation decided it.
    [[nodiscard]] Ending ending() const { return ending_; }
    /// Returns  what the debugger said about a machine that hung: registers, stack.
    [[nodiscard]] const std::string& evidence() const { return evidence_; }

private:
    enum class State { starting, running, probing, stepping, stopping, settling, overdue, leaving };

    [[nodiscard]] Action on_prompt(Milliseconds now);
    [[nodiscard]] Action gather(Ending ending, Milliseconds now);
    [[nodiscard]] Action enter(State state, Milliseconds now, Action action);

    Machine machine_;
    State state_ = State::starting;
    Ending ending_ = Ending::ended;
    Milliseconds last_moved_{0};
    Milliseconds entered_{0};
    std::string said_;  ///< since the last prompt, the end of it
    std::string evidence_;
};

}  // namespace hvp::lab
