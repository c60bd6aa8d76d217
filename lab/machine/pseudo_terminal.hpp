// Owners of what the operating system lends us: descriptors, and a child on its own terminal.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <expected>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace hvp::lab {

/// A file descriptor, closed when its owner goes.
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

/// A child process whose standard input and output are a terminal that only we hold, and one more
/// pipe out of it. It has a session of its own, and is gone when its owner goes or dies.
class TerminalChild {
public:
    struct Command {
        std::vector<std::string> arguments;  ///< the first one is looked up in PATH
        std::filesystem::path folder;        ///< in which it runs
        int pipe_descriptor;                 ///< the pipe's number on the child's side
    };

    /// Returns  the running child, or the error number of what the system refused.
    [[nodiscard]] static std::expected<TerminalChild, int> start(const Command& command);

    TerminalChild(TerminalChild&& other) noexcept;
    TerminalChild& operator=(TerminalChild&&) = delete;
    TerminalChild(const TerminalChild&) = delete;
    TerminalChild& operator=(const TerminalChild&) = delete;
    ~TerminalChild();

    [[nodiscard]] const Descriptor& terminal() const { return terminal_; }
    [[nodiscard]] const Descriptor& pipe() const { return pipe_; }
    void send(int signal) const;
    /// Returns  how long the child has executed, on all its threads; 0 when it is gone.
    [[nodiscard]] std::chrono::nanoseconds cpu_time() const;
    /// Kills what is left of the child's group and waits.  Returns  the status of waitpid.
    int finish(bool kill_first);

private:
    TerminalChild(pid_t process, Descriptor terminal, Descriptor pipe);

    pid_t process_;
    Descriptor terminal_;
    Descriptor pipe_;
};

}  // namespace hvp::lab
