#include "lab/machine/replay.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

#include "lab/machine/configuration.hpp"
#include "lab/machine/console.hpp"
#include "lab/machine/emulator.hpp"
#include "lab/machine/pseudo_terminal.hpp"

namespace hvp::lab {
namespace {

using ReplayClock = std::chrono::steady_clock;

// What the debugger answers is much shorter; a machine may write without end.
constexpr std::size_t longest_replayed_answer = 8 << 20;

// Reads what has arrived.  Returns  false at the end.
bool read_some(const Descriptor& from, std::vector<char>& buffer, std::string_view& bytes) {
    const ssize_t count = read(from.number(), buffer.data(), buffer.size());
    bytes = {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
    return count > 0 || (count < 0 && (errno == EINTR || errno == EAGAIN));
}

}  // namespace

std::vector<DebuggerStop> replay(const Replay& request) {
    return read_stops(replay_console(request));
}

std::string replay_console(const Replay& request) {
    const std::string script = "replay";
    std::ofstream{request.folder / script} << request.commands << "q\n";
    auto child = TerminalChild::start({
        .arguments = {std::string{emulator_program}, "-q", "-f", std::string{replay_configuration},
                      "-rc", script},
        .folder = request.folder,
        .pipe_descriptor = log_descriptor,
    });
    if (!child) {
        return {};
    }
    std::string answer;
    Console console{{.lab = [](std::string_view) {},
                     .other =
                         [&](std::string_view line) {
                             if (answer.size() < longest_replayed_answer) {
                                 answer += line;
                                 answer += '\n';
                             }
                         }}};
    const auto end = ReplayClock::now() + request.patience;
    std::vector<char> buffer(1 << 16);
    std::string_view bytes;
    bool terminal_open = true;
    bool pipe_open = true;
    bool in_time = true;
    while (in_time && (terminal_open || pipe_open)) {
        std::array<pollfd, 3> sources{
            pollfd{terminal_open ? child->terminal().number() : -1, POLLIN, 0},
            pollfd{pipe_open ? child->pipe().number() : -1, POLLIN, 0},
            pollfd{request.stop_descriptor, POLLIN, 0},
        };
        constexpr int most_milliseconds = 100;
        poll(sources.data(), sources.size(), most_milliseconds);
        if (sources[0].revents != 0) {
            terminal_open = read_some(child->terminal(), buffer, bytes);
            console.feed(bytes);
        }
        if (sources[1].revents != 0) {
            pipe_open = read_some(child->pipe(), buffer, bytes);
        }
        in_time = sources[2].revents == 0 && ReplayClock::now() < end;
    }
    child->finish(!in_time);
    console.finish();
    return answer;
}

}  // namespace hvp::lab
