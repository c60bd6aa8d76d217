#include "lab/machine/pseudo_terminal.hpp"

#include <fcntl.h>
#include <pty.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>

namespace hvp::lab {
namespace {

struct Pipe {
    Descriptor read;
    Descriptor write;
};

std::expected<Pipe, int> make_pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        return std::unexpected{errno};
    }
    return Pipe{Descriptor{ends[0]}, Descriptor{ends[1]}};
}

// In the child, after fork: executes the program, or reports to the parent why it cannot.
[[noreturn]] void become(const TerminalChild::Command& command, pid_t parent, int pipe_end,
                         int error_end) {
    // The emulator must end when we end, for whatever reason. The second line covers the case that
    // the parent has ended before the first one.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    std::signal(SIGXFSZ, SIG_DFL);
    std::signal(SIGPIPE, SIG_DFL);
    setenv("TERM", "dumb", 1);
    std::vector<char*> arguments;
    arguments.reserve(command.arguments.size() + 1);
    for (const std::string& argument : command.arguments) {
        arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    // The error pipe may have the number that the pipe is to get: give it another one first.
    const int error_copy = fcntl(error_end, F_DUPFD_CLOEXEC, command.pipe_descriptor + 1);
    const int pipe_copy = fcntl(pipe_end, F_DUPFD_CLOEXEC, command.pipe_descriptor + 1);
    if (error_copy >= 0 && pipe_copy >= 0 && dup2(pipe_copy, command.pipe_descriptor) >= 0 &&
        chdir(command.folder.c_str()) == 0) {
        execvp(arguments[0], arguments.data());
    }
    const int error = errno;
    [[maybe_unused]] const auto written = write(error_copy, &error, sizeof(error));
    _exit(127);
}

}  // namespace

void Descriptor::close() {
    if (number_ >= 0) {
        ::close(std::exchange(number_, -1));
    }
}

TerminalChild::TerminalChild(pid_t process, Descriptor terminal, Descriptor pipe)
    : process_{process}, terminal_{std::move(terminal)}, pipe_{std::move(pipe)} {}

TerminalChild::TerminalChild(TerminalChild&& other) noexcept
    : process_{std::exchange(other.process_, -1)},
      terminal_{std::move(other.terminal_)},
      pipe_{std::move(other.pipe_)} {}

TerminalChild::~TerminalChild() {
    if (process_ > 0) {
        finish(true);
    }
}

std::expected<TerminalChild, int> TerminalChild::start(const Command& command) {
    auto output = make_pipe();
    auto error = make_pipe();
    if (!output || !error) {
        return std::unexpected{output ? error.error() : output.error()};
    }
    termios settings{};
    cfmakeraw(&settings);
    settings.c_cflag |= CS8 | CREAD;
    const winsize size{.ws_row = 25, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    const pid_t parent = getpid();
    int terminal = -1;
    const pid_t process = forkpty(&terminal, nullptr, &settings, &size);
    if (process < 0) {
        return std::unexpected{errno};
    }
    if (process == 0) {
        become(command, parent, output->write.number(), error->write.number());
    }
    fcntl(terminal, F_SETFD, FD_CLOEXEC);
    TerminalChild child{process, Descriptor{terminal}, std::move(output->read)};
    output->write.close();
    error->write.close();
    int failure = 0;
    if (read(error->read.number(), &failure, sizeof(failure)) == sizeof(failure)) {
        return std::unexpected{failure};
    }
    return child;
}

void TerminalChild::send(int signal) const {
    if (process_ > 0) {
        kill(process_, signal);
    }
}

std::chrono::nanoseconds TerminalChild::cpu_time() const {
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(process_, &clock) != 0 || clock_gettime(clock, &time) != 0) {
        return {};
    }
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

int TerminalChild::finish(bool kill_first) {
    if (kill_first) {
        kill(-process_, SIGKILL);  // its process group
        kill(process_, SIGKILL);
    }
    int status = 0;
    while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
    return status;
}

}  // namespace hvp::lab
