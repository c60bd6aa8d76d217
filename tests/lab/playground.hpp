// For tests: runs the tool as a user does, and reads the files that it leaves.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hvp::tests {

using Json = nlohmann::json;

/// A program's output and exit status.
struct Answer {
    int status = -1;  ///< exit status; 128 + number when a signal ended it
    std::string output;
    std::string errors;

    [[nodiscard]] std::size_t error_lines() const;
};

/// A folder in which the tool runs; removed by the destructor.
class Playground {
public:
    Playground();
    Playground(const Playground&) = delete;
    Playground& operator=(const Playground&) = delete;
    ~Playground();

    /// Sets an environment variable for the following runs.
    void set(std::string name, std::string value);
    /// Limits the size of files that the tool can write (`ulimit -f`, in KiB).
    void limit_files(unsigned kibibytes) { file_limit_ = kibibytes; }
    /// Runs the tool on a terminal of this width instead of pipes.
    void use_terminal(unsigned short width) { terminal_width_ = width; }

    /// Gives the tool this file as its standard output; an empty path: none at all.
    void write_output_to(std::filesystem::path file) { output_file_ = std::move(file); }
    /// Gives the tool this file or folder as its standard input.
    void read_input_from(std::filesystem::path file) { input_file_ = std::move(file); }
    /// Gives it this text.
    void say(std::string_view text) { input_file_ = write("input", text); }

    /// Runs a copy of the tool, for which the playground's folder is the repository.
    void use_copy_of_program();

    /// Runs the tool to its end.
    [[nodiscard]] Answer operator()(const std::vector<std::string>& arguments);

    /// Starts the tool without waiting; `wait` returns its answer.
    void start(const std::vector<std::string>& arguments);
    void send(int signal) const;
    [[nodiscard]] Answer wait();

    /// Returns  the process of the emulator that the tool has started; waits until it exists.
    [[nodiscard]] std::optional<pid_t> emulator(std::chrono::seconds patience) const;
    /// Returns  the number of processes of this playground that still run.
    [[nodiscard]] std::size_t processes() const;

    [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
    [[nodiscard]] std::filesystem::path runs() const { return folder_ / "runs"; }
    /// Returns  a file of the latest run, empty when there is none.
    [[nodiscard]] std::string file(std::string_view name) const;
    [[nodiscard]] Json summary() const;
    /// Returns  the events of that name in the latest run.
    [[nodiscard]] std::vector<Json> events(std::string_view name) const;
    /// Returns  all events of the latest run, in their order.
    [[nodiscard]] std::vector<Json> all_events() const;

    /// Makes a file in the playground's folder.
    std::filesystem::path write(std::string_view name, std::string_view content) const;
    /// Copies a driver of the build to a name of its own.
    [[nodiscard]] std::filesystem::path driver(std::string_view file, std::string_view name) const;

private:
    [[noreturn]] void become(const std::vector<std::string>& arguments) const;

    std::filesystem::path folder_;
    std::string program_;
    std::vector<std::pair<std::string, std::string>> environment_;
    unsigned file_limit_ = 0;
    std::optional<std::filesystem::path> output_file_;
    std::optional<std::filesystem::path> input_file_;
    unsigned short terminal_width_ = 0;
    pid_t process_ = -1;
    int output_ = -1;
    int errors_ = -1;
};

/// Whether this is `./playground test --long`: what is done many times is done as often as we ever
/// want to see it.
[[nodiscard]] bool is_long();

/// Returns  the content of a file, empty when there is none.
[[nodiscard]] std::string content(const std::filesystem::path& path);

}  // namespace hvp::tests
