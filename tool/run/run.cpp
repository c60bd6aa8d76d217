#include "tool/run/run.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <optional>

#include "lab/machine/emulator.hpp"
#include "tool/base/output.hpp"
#include "tool/base/stop_signals.hpp"
#include "tool/base/text.hpp"
#include "tool/explain/entry_failure.hpp"
#include "tool/record/recording.hpp"
#include "tool/record/words/manual.hpp"
#include "tool/replay/recorder.hpp"
#include "tool/run/progress.hpp"
#include "tool/run/replays/endless_exit.hpp"
#include "tool/run/replays/fault_report.hpp"
#include "tool/run/replays/foreign_entry.hpp"
#include "tool/run/replays/state_places.hpp"
#include "tool/run/run_inputs.hpp"
#include "tool/run/summary.hpp"
#include "tool/run/verdict_sentences.hpp"
#include "tool/story/sentences.hpp"
#include "tool/story/story.hpp"
#include "tool/story/story_match.hpp"
#include "tool/story/terminal.hpp"

namespace hvp::tool {
namespace {

using Clock = std::chrono::steady_clock;

std::string head_line(const RunOptions& options, const RunInputs& inputs) {
    return fmt::format("{} · {} · {} processor{} · real {}, {}\n", inputs.name, options.model,
                       options.cpus, options.cpus == 1 ? "" : "s", inputs.driver_facts.name,
                       size_text(inputs.driver_facts.bytes));
}

ExitStatus status_of(const Verdict& verdict, const lab::EmulatorOutcome& outcome) {
    if (outcome.ending == lab::Ending::interrupted) {
        return ExitStatus::interrupted;
    }
    switch (verdict.result) {
        case Result::passed:
            return ExitStatus::passed;
        case Result::refused:
            return ExitStatus::refused;
        case Result::failed:
        case Result::bugcheck:
        case Result::hung:
            return ExitStatus::failed;
    }
    return ExitStatus::failed;
}

// What the emulator needed is gone at the end, unless somebody wants to look at it.
class WorkFolder {
public:
    WorkFolder(const RunFolder& folder, bool keep) : folder_{folder}, keep_{keep} {}
    WorkFolder(const WorkFolder&) = delete;
    WorkFolder& operator=(const WorkFolder&) = delete;
    ~WorkFolder() {
        if (!keep_) {
            folder_.remove_work();
        }
    }

private:
    const RunFolder& folder_;
    bool keep_;
};

// One run from its folder to its last line.
class Run {
public:
    Run(const RunOptions& options, const Repository& repository, const RunInputs& inputs,
        const RunFolder& folder, Clock::time_point started)
        : options_{options},
          repository_{repository},
          inputs_{inputs},
          folder_{folder},
          started_{started},
          recording_{folder, {.whole_log = options.keep, .all_events = options.all_events}} {}

    ExitStatus perform();

private:
    ExitStatus conclude(const lab::EmulatorOutcome& outcome, const ReplayOfRun& replay);
    [[nodiscard]] std::optional<EntryFailure> explain_failed_entry(const ReplayOfRun& replay) const;
    [[nodiscard]] std::optional<FaultReport> explain_fault(const Verdict& verdict,
                                                           const ReplayOfRun& replay,
                                                           AddressNames& names) const;
    [[nodiscard]] bool gets_nowhere(const ReplayOfRun& replay);
    void tell_endless_exit(Verdict& verdict, AddressNames& names);
    [[nodiscard]] std::string record(const ReplayOfRun& replay);
    void check_story(Verdict& verdict, const std::vector<StoryStep>& steps) const;
    void write_results(const Verdict& verdict, const std::string& story,
                       const std::string& summary);
    void print(const Verdict& verdict, const std::string& head, const std::vector<StoryStep>& steps,
               const std::string& end, const std::string& summary) const;
    ExitStatus complain(const std::string& sentence, ExitStatus status) const;
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(Clock::now() - started_).count();
    }
    [[nodiscard]] std::string shown_folder() const;

    const RunOptions& options_;
    const Repository& repository_;
    const RunInputs& inputs_;
    const RunFolder& folder_;
    Clock::time_point started_;
    Recording recording_;
    std::optional<EntryFailure> entry_failure_;
    std::optional<EndlessExit> endless_;
    std::string report_;  ///< what follows the verdict
};

ExitStatus Run::perform() {
    if (const auto written = write_machine(options_, inputs_, repository_, folder_); !written) {
        folder_.remove_work();
        return complain(written.error(), ExitStatus::failed);
    }
    const lab::Descriptor stop = stop_signals();
    const ReplayOfRun replay{
        .work = folder_.work(), .stop_descriptor = stop.number(), .patience = longest_replay};
    Progress progress{!options_.json, started_};
    const auto outcome = lab::run_emulator({
        .folder = folder_.work(),
        .machine = {.processors = options_.cpus, .timeout_ticks = options_.timeout_ticks},
        .stop_descriptor = stop.number(),
        .on_console = [&](std::string_view bytes) { recording_.on_console(bytes); },
        .on_log =
            [&](std::string_view bytes) {
                recording_.on_log(bytes);
                return recording_.log().last_tick();
            },
        .go_on =
            [&] {
                progress.show(recording_.log().last_tick(), recording_.processors().exit_count());
                return recording_.go_on() && !gets_nowhere(replay);
            },
    });
    progress.clear();
    const WorkFolder work{folder_, options_.keep};
    if (!outcome) {
        return complain(emulator_complaint(outcome.error()), emulator_status(outcome.error()));
    }
    recording_.finish();
    return conclude(*outcome, replay);
}

// With several processors, the log's ticks do not say what one of them has executed.
bool Run::gets_nowhere(const ReplayOfRun& replay) {
    const auto suspicion = recording_.suspicion();
    if (!suspicion || options_.cpus != 1) {
        return false;
    }
    endless_ =
        confirm(*suspicion, recording_.processors().reason(suspicion->reason_number), replay);
    if (!endless_) {
        recording_.acquit();
    }
    return endless_.has_value();
}

void Run::tell_endless_exit(Verdict& verdict, AddressNames& names) {
    names.find_symbols({{endless_->guest_rip}});
    verdict = {
        .result = Result::hung, .reason = sentence(*endless_, names), .remedy = remedy(*endless_)};
    report_ = guest_state_text(*endless_, names);
}

// What the driver recorded itself; else what the debugger shows.
std::optional<EntryFailure> Run::explain_failed_entry(const ReplayOfRun& replay) const {
    const Timeline& timeline = recording_.timeline();
    const std::size_t width = layout_of_output().width;
    auto told = explain_entry_failure(timeline, repository_, options_.driver ? "" : options_.stage,
                                      options_.model, width);
    const auto failed = last_failed_entry(timeline);
    const Event* loaded = timeline.last("lab", "ImageLoaded");
    if (told || !failed || loaded == nullptr || options_.cpus != 1) {
        return told;
    }
    return explain_replayed_entry(*failed, replay,
                                  {.file = inputs_.driver_path, .base = loaded->number("base")},
                                  options_.model, width);
}

// An exception that ended the run. With several processors a replay's tick is not one's own.
std::optional<FaultReport> Run::explain_fault(const Verdict& verdict, const ReplayOfRun& replay,
                                              AddressNames& names) const {
    if (options_.cpus != 1 ||
        (verdict.result != Result::failed && verdict.result != Result::bugcheck)) {
        return std::nullopt;
    }
    const auto fault = ending_fault(recording_.timeline(), recording_.log().exceptions());
    return fault ? report_fault(*fault, recording_.timeline(), replay, names) : std::nullopt;
}

ExitStatus Run::conclude(const lab::EmulatorOutcome& outcome, const ReplayOfRun& replay) {
    const Timeline& timeline = recording_.timeline();
    AddressNames names = image_names(inputs_, repository_, timeline);
    names.find_symbols(addresses_to_explain(timeline, outcome.evidence));
    const WitnessReport witnesses =
        options_.processor_log && is_complete(outcome, timeline)
            ? compare_witnesses(timeline, recording_.processors(), !options_.driver)
            : WitnessReport{.answer = "not compared", .disagreement = {}};
    Verdict verdict = judge({.outcome = outcome,
                             .timeline = timeline,
                             .witnesses = witnesses,
                             .names = names,
                             .driver_file = inputs_.driver_facts.name,
                             .emulator = recording_.log().emulator(),
                             .panic = recording_.log().panic(),
                             .all_halted = recording_.log().all_halted(options_.cpus),
                             .timeout_ticks = options_.timeout_ticks});
    if (endless_) {
        tell_endless_exit(verdict, names);
    }
    entry_failure_ = explain_failed_entry(replay);
    const auto fault = entry_failure_ ? std::nullopt : explain_fault(verdict, replay, names);
    if (entry_failure_) {
        report_ = entry_failure_->text;
    } else if (fault) {
        report_ = fault->text;
    } else if (options_.cpus != 1 && last_failed_entry(timeline)) {
        report_ = "With --cpus 1 the tool can run the machine once more, and explain the VMCS.\n";
    }
    const std::vector<StoryStep> steps = story_of(timeline, names, inputs_.sentences);
    check_story(verdict, steps);
    recording_.write_evidence(
        folder_, verdict.result != Result::passed && verdict.result != Result::refused);
    const std::string head = head_line(options_, inputs_);
    std::string end = fmt::format("{} in {:.1f} s · {}\n", result_words(verdict.result), seconds(),
                                  shown_folder());
    if (recording_.dropped_bytes() > 0) {
        end += fmt::format("processor.log is cut: {} bytes left out; --keep keeps them\n",
                           grouped(recording_.dropped_bytes()));
    }
    if (options_.record) {
        end += record(replay);
    }
    Json facts = summary(options_, inputs_.driver_facts, recording_, verdict, witnesses, seconds());
    if (entry_failure_) {
        facts["explanation"] = entry_failure_->json;
    }
    if (fault) {
        facts["fault"] = fault->json;
    }
    if (endless_) {
        facts["endless_exit"] = to_json(*endless_);
    }
    const std::string summary_text =
        facts.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
    write_results(verdict, head + lay_out(steps, {}) + end, summary_text);
    print(verdict, head, steps, end, summary_text);
    if (!recording_.write_error().empty()) {
        return complain(
            recording_.write_error() + "; what could be written is in " + folder_.path().string(),
            ExitStatus::failed);
    }
    return status_of(verdict, outcome);
}

// Returns  what to say of it, as a line of the end
std::string Run::record(const ReplayOfRun& replay) {
    RecordedStates recorded = record_states(recording_.timeline(), replay);
    name_places(recorded.states, image_names(inputs_, repository_, recording_.timeline()));
    if (const auto written =
            write_file(folder_.path() / "vmcs.jsonl", write_states(recorded.states));
        !written) {
        recording_.note_write_error(written.error());
    }
    return words_of(recorded) +
           (recorded.states.empty() ? "\n" : "; ./playground vmcs shows them\n");
}

void Run::check_story(Verdict& verdict, const std::vector<StoryStep>& steps) const {
    const auto path = repository_.stage(options_.stage) / "story.txt";
    const auto expected = options_.driver ? std::unexpected{std::string{}} : read_bytes(path);
    if (!expected || verdict.result != Result::passed) {
        return;
    }
    std::vector<std::string> lines;
    for (const StoryStep& step : steps) {
        if (!step.optional && !step.witness.empty()) {
            lines.push_back(step.witness + " " + step.text + " " + step.aside);
        }
    }
    const std::string difference = story_difference(
        {reinterpret_cast<const char*>(expected->data()), expected->size()}, lines, options_.loads);
    if (!difference.empty()) {
        verdict = verdict_of(VerdictId::story_differs, options_.stage, difference);
    }
}

void Run::write_results(const Verdict& verdict, const std::string& story,
                        const std::string& summary) {
    std::string story_text = story;
    if (!verdict.reason.empty()) {
        story_text += verdict.reason + "\n";
    }
    if (!report_.empty()) {
        story_text += "\n" + report_;
    }
    const auto write = [&](std::string_view name, std::string_view content) {
        if (const auto written = write_file(folder_.path() / name, content); !written) {
            recording_.note_write_error(written.error());
        }
    };
    if (entry_failure_) {
        write("vmcs.txt", entry_failure_->dump);
    }
    write("events.jsonl", recording_.timeline().json_lines());
    write("story.txt", story_text);
    write("summary.json", summary);
    folder_.become_latest();
}

void Run::print(const Verdict& verdict, const std::string& head,
                const std::vector<StoryStep>& steps, const std::string& end,
                const std::string& summary) const {
    if (options_.json) {
        write_output(summary);
    } else {
        write_output(head + lay_out(steps, layout_of_output()) + end);
    }
    flush_output();
    if (verdict.reason.empty()) {
        return;
    }
    fmt::print(stderr, "{}: {}\n", inputs_.name, verdict.reason);
    if (!verdict.rule.empty() || !verdict.remedy.empty()) {
        const bool both = !verdict.rule.empty() && !verdict.remedy.empty();
        fmt::print(stderr, "{}{}{}{}\n", std::string(inputs_.name.size() + 2, ' '),
                   with_newer_section(verdict.rule), both ? "  " : "", verdict.remedy);
    }
    if (!report_.empty()) {
        fmt::print(stderr, "\n{}", report_);
    }
}

ExitStatus Run::complain(const std::string& sentence, ExitStatus status) const {
    fmt::print(stderr, "{}: {}\n", inputs_.name, sentence);
    return status;
}

std::string Run::shown_folder() const {
    return folder_.path().parent_path() == repository_.root / "runs"
               ? std::string{"runs/latest/"}
               : folder_.path().string() + "/";
}

}  // namespace

ExitStatus run(const RunOptions& options, const Repository& repository) {
    const auto started = Clock::now();
    const auto inputs = read_inputs(options, repository);
    if (!inputs) {
        fmt::print(stderr, "playground: {}\n", printable(inputs.error()));
        return options.driver ? ExitStatus::bad_usage : ExitStatus::failed;
    }
    const auto folder = RunFolder::create(repository.runs(), inputs->name);
    if (!folder) {
        fmt::print(stderr, "{}: {}\n", inputs->name, folder.error());
        return ExitStatus::failed;
    }
    return Run{options, repository, *inputs, *folder, started}.perform();
}

}  // namespace hvp::tool
