#include "tool/run/replays/record_again.hpp"

#include <fmt/format.h>

#include <limits>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "tool/base/files.hpp"
#include "tool/base/stop_signals.hpp"
#include "tool/base/temporary_folder.hpp"
#include "tool/base/text.hpp"
#include "tool/replay/recorder.hpp"
#include "tool/run/recorded_options.hpp"
#include "tool/run/replays/state_places.hpp"
#include "tool/run/run_inputs.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view recording_file = "vmcs.jsonl";
constexpr std::string_view run_again = "run it again with --record";

std::unexpected<NotRecorded> failed(std::string why, ExitStatus status = ExitStatus::failed) {
    return std::unexpected{NotRecorded{status, std::move(why)}};
}

// The processor's events of events.jsonl, how many of them it does not list, and where images were
// loaded.
struct ReadEvents {
    Timeline timeline{std::numeric_limits<std::uint64_t>::max()};
    std::uint64_t not_listed = 0;
};

std::expected<ReadEvents, std::string> read_events(const fs::path& file) {
    const auto text = read_text(file);
    if (!text) {
        return std::unexpected{text.error()};
    }
    ReadEvents events;
    std::string_view rest = *text;
    for (std::size_t number = 1; !rest.empty(); ++number) {
        const std::string_view line = take_line(rest);
        if (!line.contains(R"("from":"processor")") && !line.contains(R"("event":"ImageLoaded")")) {
            continue;
        }
        Json json = Json::parse(line, nullptr, false);
        if (!json.is_object()) {
            return std::unexpected{fmt::format("{}: line {} is no event", file.string(), number)};
        }
        Event event{.t = 0, .cpu = 0, .from = {}, .name = {}, .fields = std::move(json)};
        event.from = event.text("from");
        event.name = event.text("event");
        if (event.from != "processor" && !event.is("lab", "ImageLoaded")) {
            continue;  // a driver's words
        }
        event.t = event.number("t");
        event.cpu = static_cast<unsigned>(event.number("cpu"));
        if (event.name == "NotListed") {
            const std::string of = event.text("of");
            const bool is_moment = of == "VmEntry" || of == "VmExit" || of == "EntryFailure";
            events.not_listed += is_moment ? event.number("count") - event.number("listed") : 0;
        } else {
            events.timeline.add(std::move(event));
        }
    }
    return events;
}

// The options of a run that can be run again as it was.
std::expected<RunOptions, NotRecorded> recordable_options(const fs::path& folder,
                                                          const Json& summary) {
    const auto options = options_of(summary);
    if (!options) {
        return failed(fmt::format("{}/summary.json does not have the options of the run; {}",
                                  folder.string(), run_again));
    }
    if (options->cpus != 1 || !options->processor_log) {
        return failed(fmt::format("{}: what the VMCS held can be recorded of a run with --cpus 1 "
                                  "and with the processor's log",
                                  folder.string()),
                      ExitStatus::bad_usage);
    }
    return *options;
}

std::string sha256_in(const Json& summary) {
    const auto driver = summary.find("driver");
    return driver != summary.end() && driver->is_object() ? driver->value("sha256", "") : "";
}

}  // namespace

bool lacks_recording(const fs::path& folder) {
    std::error_code error;
    return fs::exists(folder / "summary.json", error) &&
           !fs::exists(folder / recording_file, error);
}

std::expected<std::string, NotRecorded> record_again(const fs::path& folder,
                                                     const Repository& repository) {
    const auto text = read_text(folder / "summary.json");
    if (!text) {
        return failed(text.error());
    }
    const Json summary = Json::parse(*text, nullptr, false);
    if (!summary.is_object()) {
        return failed(fmt::format("{}/summary.json cannot be read as JSON", folder.string()));
    }
    const auto options = recordable_options(folder, summary);
    if (!options) {
        return std::unexpected{options.error()};
    }
    const auto events = read_events(folder / "events.jsonl");
    if (!events) {
        return failed(events.error());
    }
    const auto inputs = read_inputs(*options, repository);
    if (!inputs) {
        return failed(inputs.error());
    }
    if (inputs->driver_facts.sha256 != sha256_in(summary)) {
        return failed(fmt::format("{} is not the one of this run: it was changed or built anew; {}",
                                  inputs->driver_path.string(), run_again));
    }
    const TemporaryFolder place{"record"};
    const auto machine = RunFolder::create(place.path(), inputs->name);
    if (!machine) {
        return failed(machine.error());
    }
    if (const auto written = write_machine(*options, *inputs, repository, *machine); !written) {
        return failed(written.error());
    }
    const lab::Descriptor stop = stop_signals();
    RecordedStates recorded = record_states(
        events->timeline,
        {.work = machine->work(), .stop_descriptor = stop.number(), .patience = longest_replay});
    recorded.left_out += events->not_listed;
    name_places(recorded.states, image_names(*inputs, repository, events->timeline));
    if (recorded.states.empty() && !recorded.complaint.empty()) {
        return failed(fmt::format("{}: {}; if the lab or the emulator has changed since, {}",
                                  folder.string(), recorded.complaint, run_again));
    }
    if (const auto written = write_file(folder / recording_file, write_states(recorded.states));
        !written) {
        return failed(written.error());
    }
    return recorded.left_out == 0 ? "" : words_of(recorded);
}

}  // namespace hvp::tool
