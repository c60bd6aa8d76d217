// Owners of file descriptors, and of a child process on a pseudo terminal.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <expected>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace hvp::lab {

/// A file descriptor, closed by the destructor.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int number) : number_{number} {}
    Descriptor(Descriptor&& other) noexcept : number_{std::exchange(other.number_, -1)} {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { close(); }

    [[nodiscard]] int number() const { return number_; }
    [[nodiscard]] bool is_open() const { return number_ >= 0; }
    void close();

private:
    int number_ = -1;
};

/// A child process whose standard input and output are a pseudo terminal of ours, with one more
/// pipe from it. It has a session of its own, and is killed by the destructor, or when we end.
class TerminalChild {
public:
    struct Command {
        std::vector<std::string> arguments;  ///< the first one is looked up in PATH
        std::filesystem::path folder;        ///< in which it runs
        int pipe_descriptor;                 ///< the pipe's number on the child's side
    };

    /// Returns  the running child, or the error number of the system call that failed.
    [[nodiscard]] static std::expected<TerminalChild, int> start(const Command& command);

    TerminalChild(TerminalChild&& other) noexcept;
    TerminalChild& operator=(TerminalChild&&) = delete;
    TerminalChild(const TerminalChild&) = delete;
    TerminalChild& operator=(const TerminalChild&) = delete;
    ~TerminalChild();

    [[nodiscard]] const Descriptor& terminal() const { return terminal_; }
    [[nodiscard]] const Descriptor& pipe() const { return pipe_; }
    void send(int signal) const;
    /// Returns  the processor time that all of the child's threads have used; 0 after its end.
    [[nodiscard]] std::chrono::nanoseconds cpu_time() const;
    /// Kills the rest of the child's process group and waits.  Returns  the status of waitpid.
    int finish(bool kill_first);

private:
    TerminalChild(pid_t process, Descriptor terminal, Descriptor pipe);

    pid_t process_;
    Descriptor terminal_;
    Descriptor pipe_;
};

}  // namespace hvp::lab
