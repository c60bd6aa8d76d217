#include "tool/run/summary.hpp"

#include <cmath>

#include "tool/run/recorded_options.hpp"

#include "tool/record/words/manual.hpp"

namespace hvp::tool {
namespace {

// Whether the examiner has compared the processors and counted the memory: not after a bug check,
// nor of a driver that stays loaded or was never loaded.
bool was_examined(const Timeline& timeline) {
    const Event* end = timeline.last("lab", "Summary");
    return end != nullptr && end->text("result") != "bugcheck" &&
           timeline.last("lab", "NoDriverUnload") == nullptr &&
           timeline.last("lab", "DriverEntryReturned") != nullptr;
}

// Null: nobody has looked.
Json changes_of(const Timeline& timeline, std::string_view kind) {
    if (!was_examined(timeline)) {
        return {};
    }
    Json all = Json::array();
    for (const Event* event : timeline.all("lab", kind)) {
        Json change = {{"cpu", event->cpu}};
        change.update(event->fields);
        all.push_back(std::move(change));
    }
    return all;
}

Json memory(const Timeline& timeline) {
    const Event* lab_summary = timeline.last("lab", "Summary");
    Json all = Json::object();
    if (lab_summary != nullptr) {
        for (const char* key : {"peak_bytes", "leaked_bytes", "stack_bytes"}) {
            if (lab_summary->fields.contains(key)) {
                all[key] = lab_summary->fields[key];
            }
        }
    }
    if (!was_examined(timeline)) {
        all["leaked_bytes"] = Json{};
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
        {"options", options_json(options)},
        {"result", result_name(verdict.result)},
        {"reason", verdict.reason},
        {"rule", with_newer_section(verdict.rule)},
        {"remedy", verdict.remedy},
        {"status", lab_summary == nullptr ? "" : lab_summary->text("status")},
        {"exits", recording.processors().exits()},
        {"entry_failures", recording.processors().entry_failures()},
        // With more processors they take turns, a few instructions each: too coarse a clock.
        {"root_ticks", options.cpus == 1 ? recording.processors().root_ticks() : Json{}},
        {"memory", memory(timeline)},
        {"state_differences", changes_of(timeline, "StateDifference")},
        {"expected_changes", changes_of(timeline, "ExpectedChange")},
        {"witnesses", witnesses.answer},
        {"processor_log_bytes_left_out", recording.dropped_bytes()},
        {"ticks", recording.log().last_tick()},
        {"wall_seconds", std::round(wall_seconds * milliseconds) / milliseconds},
    };
}

}  // namespace hvp::tool
