#include "tool/debug/debug.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>

#include "lab/machine/emulator.hpp"
#include "lab/machine/replay.hpp"
#include "tool/base/stop_signals.hpp"
#include "tool/base/text.hpp"
#include "tool/debug/session.hpp"
#include "tool/debug/symbols.hpp"
#include "tool/run/run_inputs.hpp"

namespace hvp::tool {
namespace {

constexpr std::chrono::minutes longest_replay_of_session{2};

// The session's files are gone at its end.
class SessionFolder {
public:
    explicit SessionFolder(const RunFolder& folder) : folder_{folder} {}
    SessionFolder(const SessionFolder&) = delete;
    SessionFolder& operator=(const SessionFolder&) = delete;
    ~SessionFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_.path(), ignored);
    }

private:
    const RunFolder& folder_;
};

// Lines of standard input, until its end or a signal.
class Input {
public:
    explicit Input(int stop_descriptor) : stop_descriptor_{stop_descriptor} {}

    std::optional<std::string> next_line() {
        std::size_t end = 0;
        while ((end = text_.find('\n')) == std::string::npos) {
            std::array<pollfd, 2> sources{pollfd{STDIN_FILENO, POLLIN, 0},
                                          pollfd{stop_descriptor_, POLLIN, 0}};
            poll(sources.data(), sources.size(), -1);
            interrupted_ = interrupted_ || sources[1].revents != 0;
            std::array<char, 4096> buffer{};
            const ssize_t count =
                interrupted_ ? 0 : read(STDIN_FILENO, buffer.data(), buffer.size());
            if (count <= 0) {
                return std::nullopt;
            }
            text_.append(buffer.data(), static_cast<std::size_t>(count));
        }
        std::string line = text_.substr(0, end);
        text_.erase(0, end + 1);
        return line;
    }
    [[nodiscard]] bool interrupted() const { return interrupted_; }

private:
    int stop_descriptor_;
    std::string text_;
    bool interrupted_ = false;
};

void say(std::string_view text) {
    fmt::print("{}", text);
    std::fflush(stdout);
}

ExitStatus talk(Session& session, int stop_descriptor) {
    const bool at_terminal = isatty(STDIN_FILENO) != 0;
    Input input{stop_descriptor};
    while (!session.is_over()) {
        say(at_terminal ? "debug> " : "");
        const auto line = input.next_line();
        if (!line) {
            break;
        }
        // A script's commands stand in its output, as typed ones do at a terminal.
        say(at_terminal ? "" : fmt::format("debug> {}\n", printable(*line)));
        say(session.answer(*line));
    }
    return input.interrupted() ? ExitStatus::interrupted : ExitStatus::passed;
}

ExitStatus complain(const std::string& sentence, ExitStatus status) {
    fmt::print(stderr, "debug: {}\n", sentence);
    return status;
}

// The machine runs once as `run` runs it: what it logs says where one can stop.
std::expected<lab::EmulatorOutcome, int> record(const RunOptions& options, const RunFolder& folder,
                                                Recording& recording, int stop_descriptor) {
    auto outcome = lab::run_emulator({
        .folder = folder.work(),
        .machine = {.processors = options.cpus, .timeout_ticks = options.timeout_ticks},
        .stop_descriptor = stop_descriptor,
        .on_console = [&](std::string_view bytes) { recording.on_console(bytes); },
        .on_log =
            [&](std::string_view bytes) {
                recording.on_log(bytes);
                return recording.log().last_tick();
            },
        .go_on = [&] { return recording.go_on() && !recording.suspicion(); },
    });
    recording.finish();
    return outcome;
}

// Of both images: a driver may have a stub with the name of the kernel's function.
std::vector<std::uint64_t> functions_of(const RunInputs& inputs, const Repository& repository,
                                        const Timeline& timeline, std::string_view name) {
    std::vector<std::uint64_t> addresses;
    const auto add = [&](const std::vector<std::uint64_t>& offsets, std::uint64_t base) {
        for (const std::uint64_t offset : offsets) {
            addresses.push_back(base + offset);
        }
    };
    const auto in_driver = functions_named(name, dump_symbols(inputs.driver_path));
    for (const Event* loaded : timeline.all("lab", "ImageLoaded")) {
        add(in_driver, loaded->number("base"));
    }
    add(functions_named(name, dump_symbols(repository.kernel())), inputs.kernel.base);
    return addresses;
}

}  // namespace

ExitStatus debug(const DebugOptions& options, const Repository& repository) {
    const auto inputs = read_inputs(options.run, repository);
    if (!inputs) {
        return complain(inputs.error(),
                        options.run.driver ? ExitStatus::bad_usage : ExitStatus::failed);
    }
    const auto folder = RunFolder::create(repository.runs(), inputs->name + "-debug");
    if (!folder) {
        return complain(folder.error(), ExitStatus::failed);
    }
    const SessionFolder files{*folder};
    if (const auto written = write_machine(options.run, *inputs, repository, *folder); !written) {
        return complain(written.error(), ExitStatus::failed);
    }
    const lab::Descriptor stop = stop_signals();
    Recording recording{*folder, {.all_events = true}};
    const auto outcome = record(options.run, *folder, recording, stop.number());
    if (!outcome) {
        return complain(emulator_complaint(outcome.error()), emulator_status(outcome.error()));
    }
    if (outcome->ending == lab::Ending::interrupted) {
        return ExitStatus::interrupted;
    }
    const History history{recording};
    AddressNames names = image_names(*inputs, repository, recording.timeline());
    Session session{history, names,
                    [&](const std::string& commands) {
                        return lab::replay_console({.folder = folder->work(),
                                                    .commands = commands,
                                                    .stop_descriptor = stop.number(),
                                                    .patience = longest_replay_of_session});
                    },
                    [&](std::string_view name) {
                        return functions_of(*inputs, repository, recording.timeline(), name);
                    }};
    const auto first = session.find(options.at);
    if (!first) {
        return complain("--at " + first.error(), ExitStatus::bad_usage);
    }
    say(session.go_to(*first));
    return talk(session, stop.number());
}

}  // namespace hvp::tool
