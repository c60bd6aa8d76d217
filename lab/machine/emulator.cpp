#include "lab/machine/emulator.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include "lab/machine/configuration.hpp"
#include "lab/machine/pseudo_terminal.hpp"

namespace hvp::lab {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int poll_milliseconds = 100;
constexpr int pause_milliseconds = 1;

// The emulator can deadlock when SIGINT arrives while it writes its log. An emulator that has used
// so much processor time since the last line is not writing one. Wall-clock time would prove
// nothing: the host may have preempted the emulator in the middle of a line. Clock interrupts write
// lines every two or three milliseconds, in bursts of less than a fifth of one.
constexpr std::chrono::microseconds executing_without_a_line{500};

// The emulator writes its log line by line, a hundred thousand lines a second. Waking up for each
// line would cost both processes more than reading it, so we let several gather in the pipe.
constexpr std::chrono::milliseconds gathering{1};

// One run of the emulator: the loop's state.
class Session {
public:
    Session(const EmulatorRun& run, TerminalChild& child) : run_{run}, child_{child} {}

    EmulatorOutcome to_its_end();

private:
    [[nodiscard]] DebuggerTalk::Milliseconds now() const {
        return std::chrono::duration_cast<DebuggerTalk::Milliseconds>(Clock::now() - started_);
    }
    void act(const DebuggerTalk::Action& action);
    void read_terminal();
    void read_pipe();
    void end(Ending ending);

    const EmulatorRun& run_;
    TerminalChild& child_;
    Clock::time_point started_ = Clock::now();
    DebuggerTalk talk_{run_.machine};
    std::optional<Ending> decided_;
    bool terminal_open_ = true;
    bool pipe_open_ = true;
    bool killed_ = false;
    bool interrupt_in_pause_ = false;
    std::chrono::nanoseconds cpu_time_of_last_line_{};
    std::vector<char> buffer_ = std::vector<char>(1 << 16);
};

EmulatorOutcome Session::to_its_end() {
    while (terminal_open_ || pipe_open_) {
        // poll() ignores negative descriptors.
        std::array<pollfd, 3> sources{
            pollfd{terminal_open_ ? child_.terminal().number() : -1, POLLIN, 0},
            pollfd{pipe_open_ ? child_.pipe().number() : -1, POLLIN, 0},
            pollfd{killed_ ? -1 : run_.stop_descriptor, POLLIN, 0},
        };
        const int ready = poll(sources.data(), sources.size(),
                               interrupt_in_pause_ ? pause_milliseconds : poll_milliseconds);
        if (ready == 0 && interrupt_in_pause_ &&
            child_.cpu_time() - cpu_time_of_last_line_ > executing_without_a_line) {
            interrupt_in_pause_ = false;
            child_.send(SIGINT);
        }
        if (sources[2].revents != 0) {
            end(Ending::interrupted);
        }
        if (sources[0].revents != 0) {
            read_terminal();
        }
        if (sources[1].revents != 0) {
            read_pipe();
        }
        const auto asked = Clock::now();
        if (!run_.go_on()) {
            end(Ending::stopped);
        }
        // The emulator was not read: its silence counts for nothing.
        started_ += Clock::now() - asked;
        act(talk_.on_time(now()));
        if (sources[1].revents == POLLIN && !interrupt_in_pause_) {
            std::this_thread::sleep_for(gathering);
        }
    }
    const int status = child_.finish(killed_);
    EmulatorOutcome outcome{
        .ending = decided_.value_or(talk_.ending()), .killed_by = {}, .evidence = talk_.evidence()};
    if (!killed_ && WIFSIGNALED(status)) {
        outcome.killed_by = WTERMSIG(status);
    }
    return outcome;
}

void Session::read_terminal() {
    const ssize_t count = read(child_.terminal().number(), buffer_.data(), buffer_.size());
    if (count > 0) {
        const std::string_view bytes{buffer_.data(), static_cast<std::size_t>(count)};
        run_.on_console(bytes);
        act(talk_.on_console(bytes, now()));
    } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
        terminal_open_ = false;  // EIO: the other side has been closed
    }
}

void Session::read_pipe() {
    const ssize_t count = read(child_.pipe().number(), buffer_.data(), buffer_.size());
    if (count > 0) {
        const std::uint64_t tick = run_.on_log({buffer_.data(), static_cast<std::size_t>(count)});
        act(talk_.on_log(tick, now()));
        if (interrupt_in_pause_) {
            cpu_time_of_last_line_ = child_.cpu_time();
        }
    } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
        pipe_open_ = false;
    }
}

void Session::act(const DebuggerTalk::Action& action) {
    interrupt_in_pause_ = interrupt_in_pause_ || action.interrupt_in_pause;
    if (action.interrupt) {
        child_.send(SIGINT);
    }
    if (!action.type.empty()) {
        [[maybe_unused]] const auto written =
            write(child_.terminal().number(), action.type.data(), action.type.size());
    }
    if (action.kill && !killed_) {
        killed_ = true;
        child_.send(SIGKILL);
    }
}

void Session::end(Ending ending) {
    if (!decided_) {
        decided_ = ending;
    }
    act({.kill = true});
}

}  // namespace

std::expected<EmulatorOutcome, int> run_emulator(const EmulatorRun& run) {
    auto child = TerminalChild::start({
        .arguments = {std::string{emulator_program}, "-q", "-f", "bochsrc", "-rc", "rc"},
        .folder = run.folder,
        .pipe_descriptor = log_descriptor,
    });
    if (!child) {
        return std::unexpected{child.error()};
    }
    return Session{run, *child}.to_its_end();
}

}  // namespace hvp::lab
