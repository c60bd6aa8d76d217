#include "tool/run/summary.hpp"

#include <cmath>

namespace hvp::tool {
namespace {

Json state_changes(const Timeline& timeline, std::string_view kind) {
    Json all = Json::array();
    for (const Event* event : timeline.all("lab", kind)) {
        Json change = {{"cpu", event->cpu}};
        change.update(event->fields);
        all.push_back(std::move(change));
    }
    return all;
}

Json memory(const Event* lab_summary) {
    Json all = Json::object();
    if (lab_summary != nullptr) {
        for (const char* key : {"peak_bytes", "leaked_bytes", "stack_bytes"}) {
            if (lab_summary->fields.contains(key)) {
                all[key] = lab_summary->fields[key];
            }
        }
    }
    return all;
}

}  // namespace

Json summary(const RunOptions& options, const DriverFile& driver, const Recording& recording,
             const Verdict& verdict, const WitnessReport& witnesses, double wall_seconds) {
    const Timeline& timeline = recording.timeline();
    const Event* lab_summary = timeline.last("lab", "Summary");
    constexpr double milliseconds = 1000;
    return {
        {"stage", options.driver ? Json{} : Json(options.stage)},
        {"driver", {{"file", driver.name}, {"bytes", driver.bytes}, {"sha256", driver.sha256}}},
        {"machine",
         {{"emulator", recording.log().emulator()},
          {"model", options.model},
          {"processors", options.cpus},
          {"memory_mib", options.memory_mib}}},
        {"result", result_name(verdict.result)},
        {"reason", verdict.reason},
        {"status", lab_summary == nullptr ? "" : lab_summary->text("status")},
        {"exits", recording.processors().exits()},
        {"entry_failures", recording.processors().entry_failures()},
        // With more processors they take turns, a few instructions each: too coarse a clock.
        {"root_ticks", options.cpus == 1 ? recording.processors().root_ticks() : Json{}},
        {"memory", memory(lab_summary)},
        {"state_differences", state_changes(timeline, "StateDifference")},
        {"expected_changes", state_changes(timeline, "ExpectedChange")},
        {"witnesses", witnesses.answer},
        {"ticks", recording.log().last_tick()},
        {"wall_seconds", std::round(wall_seconds * milliseconds) / milliseconds},
    };
}

}  // namespace hvp::tool
