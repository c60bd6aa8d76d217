#include "tool/base/subprocess.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "lab/machine/pseudo_terminal.hpp"

namespace hvp::tool {
namespace {

using lab::Descriptor;

std::vector<std::string> environment_of(const Command& command) {
    std::vector<std::string> all;
    all.reserve(command.environment.size());
    for (const auto& [name, value] : command.environment) {
        all.push_back(fmt::format("{}={}", name, value));
    }
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view line = *entry;
        const bool replaced = std::ranges::any_of(command.environment, [&](const auto& variable) {
            return line.starts_with(variable.first + "=");
        });
        if (!replaced) {
            all.emplace_back(line);
        }
    }
    return all;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> result;
    result.reserve(strings.size() + 1);
    for (const std::string& string : strings) {
        result.push_back(const_cast<char*>(string.c_str()));
    }
    result.push_back(nullptr);
    return result;
}

struct Redirections {
    int output = -1;
    int errors = -1;
};

std::expected<pid_t, int> spawn(const Command& command, Redirections redirections) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (redirections.output >= 0) {
        posix_spawn_file_actions_adddup2(&actions, redirections.output, STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions, redirections.errors, STDERR_FILENO);
    }
    if (!command.folder.empty()) {
        posix_spawn_file_actions_addchdir_np(&actions, command.folder.c_str());
    }
    // Other programs get the signals as they are used to them.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGXFSZ);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const std::vector<std::string> environment = environment_of(command);
    pid_t process = -1;
    const int error =
        posix_spawnp(&process, command.arguments[0].c_str(), &actions, &attributes,
                     pointers(command.arguments).data(), pointers(environment).data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        return std::unexpected{error};
    }
    return process;
}

int wait_for(pid_t process) {
    int status = 0;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

std::expected<Captured, int> capture(const Command& command, bool errors_too) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        return std::unexpected{errno};
    }
    const Descriptor from{ends[0]};
    Descriptor to{ends[1]};
    const Descriptor nowhere{open("/dev/null", O_WRONLY | O_CLOEXEC)};
    const auto process = spawn(
        command, {.output = to.number(), .errors = errors_too ? to.number() : nowhere.number()});
    to.close();
    if (!process) {
        return std::unexpected{process.error()};
    }
    Captured captured;
    std::array<char, 4096> buffer{};
    ssize_t count = 0;
    while ((count = read(from.number(), buffer.data(), buffer.size())) > 0 ||
           (count < 0 && errno == EINTR)) {
        captured.output.append(buffer.data(),
                               static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    }
    captured.status = wait_for(*process);
    return captured;
}

}  // namespace hvp::tool
