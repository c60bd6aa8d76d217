#include "tests/lab/playground.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "tests/lab/places.hpp"

namespace hvp::tests {
namespace {

namespace fs = std::filesystem;

// Longer than anything that the tests run; without a limit a hanging test would report nothing.
constexpr auto longest_run = std::chrono::seconds{240};
constexpr auto short_pause = std::chrono::milliseconds{20};

// In tests/coverage the same tests run another build of the tool.
std::string tested_program() {
    const char* other = std::getenv("HVP_TESTED_PROGRAM");
    return other != nullptr ? other : program().string();
}

bool is_number(const std::string& name) {
    return std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

// The processes whose environment names this folder, except this one.
std::vector<pid_t> processes_of(const fs::path& folder) {
    std::vector<pid_t> found;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{"/proc", ignored}) {
        const std::string name = entry.path().filename().string();
        if (is_number(name) && content(entry.path() / "environ").contains(folder.string())) {
            found.push_back(static_cast<pid_t>(std::stol(name)));
        }
    }
    return found;
}

// Reads two descriptors to their ends.
void drain(int output, int errors, Answer& answer) {
    std::array<pollfd, 2> sources{pollfd{output, POLLIN, 0}, pollfd{errors, POLLIN, 0}};
    const std::array<std::string*, 2> texts{&answer.output, &answer.errors};
    const auto end = std::chrono::steady_clock::now() + longest_run;
    while (sources[0].fd >= 0 || sources[1].fd >= 0) {
        if (std::chrono::steady_clock::now() > end) {
            ADD_FAILURE() << "the tool does not end";
            return;
        }
        poll(sources.data(), sources.size(), 100);
        for (std::size_t i = 0; i < sources.size(); ++i) {
            std::array<char, 4096> buffer{};
            if (sources[i].fd < 0 || sources[i].revents == 0) {
                continue;
            }
            const ssize_t count = read(sources[i].fd, buffer.data(), buffer.size());
            if (count > 0) {
                texts[i]->append(buffer.data(), static_cast<std::size_t>(count));
            } else if (count == 0 || errno != EINTR) {
                sources[i].fd = -1;
            }
        }
    }
}

}  // namespace

bool is_long() {
    return std::getenv("HVP_LONG") != nullptr;
}

std::string content(const fs::path& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

std::size_t Answer::error_lines() const {
    return static_cast<std::size_t>(std::ranges::count(errors, '\n'));
}

Playground::Playground() : program_{tested_program()} {
    std::string name = (fs::temp_directory_path() / "hvp-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
        ADD_FAILURE() << "no temporary folder";
    }
    folder_ = name;
    set("HVP_RUNS", runs().string());
    set("NO_COLOR", "");
}

Playground::~Playground() {
    for (const pid_t process : processes_of(folder_)) {
        kill(process, SIGKILL);
    }
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

void Playground::set(std::string name, std::string value) {
    std::erase_if(environment_, [&](const auto& entry) { return entry.first == name; });
    environment_.emplace_back(std::move(name), std::move(value));
}

void Playground::use_copy_of_program() {
    const fs::path copy = folder_ / "build/bin/hvp";
    fs::create_directories(copy.parent_path());
    fs::copy_file(program_, copy);
    program_ = copy;
}

Answer Playground::operator()(const std::vector<std::string>& arguments) {
    start(arguments);
    return wait();
}

void Playground::become(const std::vector<std::string>& arguments) const {
    if (file_limit_ > 0) {
        const rlim_t bytes = rlim_t{file_limit_} * 1024;
        const rlimit limit{bytes, bytes};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    for (const auto& [name, value] : environment_) {
        setenv(name.c_str(), value.c_str(), 1);
    }
    if (file_limit_ > 0) {
        setenv("LLVM_PROFILE_FILE", "/dev/null", 1);  // its counters would be too large a file
    }
    std::vector<char*> pointers{const_cast<char*>(program_.c_str())};
    for (const std::string& argument : arguments) {
        pointers.push_back(const_cast<char*>(argument.c_str()));
    }
    pointers.push_back(nullptr);
    if (chdir(folder_.c_str()) == 0) {
        execv(program_.c_str(), pointers.data());
    }
    _exit(127);
}

void Playground::start(const std::vector<std::string>& arguments) {
    std::array<int, 2> output{-1, -1};
    std::array<int, 2> errors{};
    ASSERT_EQ(pipe2(errors.data(), O_CLOEXEC), 0);
    if (terminal_width_ > 0) {
        winsize size{.ws_row = 25, .ws_col = terminal_width_, .ws_xpixel = 0, .ws_ypixel = 0};
        process_ = forkpty(output.data(), nullptr, nullptr, &size);
    } else {
        ASSERT_EQ(pipe2(output.data(), O_CLOEXEC), 0);
        process_ = fork();
    }
    ASSERT_GE(process_, 0);
    if (process_ == 0) {
        if (output[1] >= 0) {
            dup2(output[1], STDOUT_FILENO);
        }
        dup2(errors[1], STDERR_FILENO);
        if (input_file_) {
            close(STDIN_FILENO);
            open(input_file_->c_str(), O_RDONLY);
        }
        if (output_file_) {
            close(STDOUT_FILENO);  // and the next file that is opened has its number
        }
        if (output_file_ && !output_file_->empty()) {
            open(output_file_->c_str(), O_WRONLY);
        }
        become(arguments);
    }
    if (output[1] >= 0) {
        close(output[1]);
    }
    close(errors[1]);
    output_ = output[0];
    errors_ = errors[0];
}

void Playground::send(int signal) const {
    kill(process_, signal);
}

Answer Playground::wait() {
    Answer answer;
    drain(output_, errors_, answer);
    close(output_);
    close(errors_);
    int status = 0;
    waitpid(process_, &status, 0);
    answer.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    std::erase(answer.output, '\r');
    return answer;
}

std::optional<pid_t> Playground::emulator(std::chrono::seconds patience) const {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < end) {
        for (const pid_t process : processes_of(folder_)) {
            if (content(fs::path{"/proc"} / std::to_string(process) / "comm") == "bochs-bin\n") {
                return process;
            }
        }
        std::this_thread::sleep_for(short_pause);
    }
    return std::nullopt;
}

std::size_t Playground::processes() const {
    return processes_of(folder_).size();
}

std::string Playground::file(std::string_view name) const {
    return content(runs() / "latest" / name);
}

Json Playground::summary() const {
    return Json::parse(file("summary.json"), nullptr, /*allow_exceptions=*/false);
}

std::vector<Json> Playground::events(std::string_view name) const {
    std::vector<Json> found = all_events();
    std::erase_if(found, [&](const Json& event) { return event["event"] != name; });
    return found;
}

std::vector<Json> Playground::all_events() const {
    std::vector<Json> found;
    std::istringstream lines{file("events.jsonl")};
    for (std::string line; std::getline(lines, line);) {
        Json event = Json::parse(line, nullptr, /*allow_exceptions=*/false);
        EXPECT_TRUE(event.is_object()) << line;
        if (event.is_object()) {
            found.push_back(std::move(event));
        }
    }
    return found;
}

fs::path Playground::write(std::string_view name, std::string_view text) const {
    const fs::path path = folder_ / name;
    std::ofstream{path, std::ios::binary} << text;
    return path;
}

fs::path Playground::driver(std::string_view file, std::string_view name) const {
    const fs::path source = drivers_folder() / file;
    const fs::path copy = folder_ / (std::string{name} + ".sys");
    fs::copy_file(source.string() + ".sys", copy, fs::copy_options::overwrite_existing);
    fs::copy_file(source.string() + ".pdb", folder_ / (std::string{file} + ".pdb"),
                  fs::copy_options::overwrite_existing);
    return copy;
}

}  // namespace hvp::tests
