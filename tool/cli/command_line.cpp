#include "tool/cli/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <limits>

#include "tool/base/nearest.hpp"
#include "tool/base/text.hpp"
#include "tool/cli/described_options.hpp"
#include "tool/cli/exercises.hpp"
#include "tool/cli/new_stage.hpp"
#include "tool/cli/option_checks.hpp"
#include "tool/cli/usage_words.hpp"
#include "tool/debug/stop_at.hpp"
#include "tool/vmcs/run_difference.hpp"

namespace hvp::tool {
namespace {

Done bad_usage(const std::string& message) {
    fmt::print(stderr, "playground: {}\n", printable(message));
    return {ExitStatus::bad_usage};
}

std::string joined(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, ", "));
}

// An empty string when the model can run the lab.
std::string check_model(const std::string& name) {
    std::vector<std::string> usable;
    for (const lab::ModelFacts& model : lab::all_models()) {
        if (model.kind != lab::ModelKind::no_64_bit) {
            usable.emplace_back(model.name);
        }
    }
    const auto model = lab::find_model(name);
    if (model && model->kind == lab::ModelKind::no_64_bit) {
        return fmt::format(
            "--model {}: this processor has no 64-bit mode, so 64-bit Windows "
            "drivers cannot run on it; try {}",
            name, lab::default_model);
    }
    if (!model) {
        const std::string near = nearest(name, usable);
        return fmt::format("--model {}: no such processor model{}", name,
                           near.empty() ? "; there are " + joined(usable) : did_you_mean(near));
    }
    return {};
}

std::string check_stage(const std::string& name, const Repository& repository) {
    const std::vector<std::string> stages = repository.stages();
    if (std::ranges::find(stages, name) != stages.end()) {
        return {};
    }
    const std::string near = nearest(name, stages);
    return fmt::format("there is no stage {}{}", name,
                       near.empty() ? "; ./playground list shows them" : did_you_mean(near));
}

Options finish_run(RunOptions options, const std::string& firmware, const std::string& driver,
                   bool stage_given, const Repository& repository) {
    options.firmware_vmx =
        std::ranges::find(firmware_settings, firmware, &FirmwareSetting::name)->value;
    if (options.processor && *options.processor >= options.cpus) {
        return bad_usage(fmt::format(
            "--processor {}: there {} {} processor{}, numbered from 0; --cpus gives more",
            *options.processor, options.cpus == 1 ? "is" : "are", options.cpus,
            options.cpus == 1 ? "" : "s"));
    }
    if (options.record && (options.cpus != 1 || !options.processor_log)) {
        return bad_usage(
            options.cpus != 1
                ? "--record needs --cpus 1: with more, a tick of the log is no tick of the debugger"
                : "--record needs the processor's log; leave out --no-processor-log");
    }
    if (driver.empty() && !options.processor_log) {
        return bad_usage(
            "--no-processor-log leaves a stage without its witness; it goes with "
            "--driver");
    }
    if (!driver.empty() && stage_given) {
        return bad_usage("run takes a stage or --driver, not both");
    }
    if (!driver.empty()) {
        options.driver = driver;
        std::error_code error;
        if (!std::filesystem::is_regular_file(driver, error)) {
            const bool exists = std::filesystem::exists(driver, error);
            return bad_usage(fmt::format("--driver {}: {}", driver,
                                         exists ? "this is no file" : "there is no such file"));
        }
    } else if (const std::string complaint = check_stage(options.stage, repository);
               !complaint.empty()) {
        return bad_usage(complaint);
    }
    if (const std::string complaint = check_model(options.model); !complaint.empty()) {
        return bad_usage(complaint);
    }
    return options;
}

Options finish_debug(DebugOptions options, const Options& run) {
    const auto* const finished = std::get_if<RunOptions>(&run);
    if (finished == nullptr) {
        return run;
    }
    options.run = *finished;
    const std::string complaint = debug_complaint(options);
    return complaint.empty() ? Options{options} : Options{bad_usage(complaint)};
}

Options finish_explain(const ExplainOptions& options) {
    const bool has_number =
        !options.exit.empty() || !options.error.empty() || !options.controls.empty() ||
        !options.field.empty() || !options.interruption.empty() || !options.access_rights.empty() ||
        !options.ept_entry.empty() || !options.cr4.empty() || !options.status.empty();
    if (options.file.empty() && !has_number) {
        return bad_usage(options.qualification.empty()
                             ? "explain takes a file, - or a number such as --exit 48"
                             : "--qualification goes with --exit");
    }
    if (!options.file.empty() && has_number) {
        return bad_usage("explain takes a file or numbers, not both");
    }
    const std::string complaint = check_model(options.model);
    return complaint.empty() ? Options{options} : Options{bad_usage(complaint)};
}

Options finish_diff(const DiffOptions& options, const Repository& repository) {
    if (is_run(options.before) && is_run(options.after)) {
        return options;
    }
    for (const std::string& stage : {options.before, options.after}) {
        if (const std::string complaint = check_stage(stage, repository); !complaint.empty()) {
            return bad_usage(complaint);
        }
    }
    return options;
}

Options finish_new(const NewOptions& options, const Repository& repository) {
    std::string complaint = stage_name_complaint(options.name, repository);
    if (complaint.empty()) {
        complaint = check_stage(options.from, repository);
    }
    return complaint.empty() ? Options{options} : Options{bad_usage(complaint)};
}

template <class AnyOptions>
Options finish_exercise(const AnyOptions& options, const Repository& repository) {
    const std::string complaint = exercise_name_complaint(options.name, repository);
    return complaint.empty() ? Options{options} : Options{bad_usage(complaint)};
}

}  // namespace

Options read_command_line(int count, const char* const* arguments, const Repository& repository) {
    CLI::App app{"HV-Playground: small hypervisors as Windows drivers, and a lab that runs them."};
    app.name("playground");
    app.require_subcommand(0, 1);
    app.set_help_flag("-h,--help", "show this help");

    RunOptions run_options;
    std::string firmware = "locked-on";
    std::string driver;
    CLI::App* run =
        app.add_subcommand("run", "run a stage's driver in the lab and print its story");
    describe_run(*run, run_options, firmware, driver);

    DebugOptions debug_options;
    std::string debug_firmware = "locked-on";
    std::string debug_driver;
    CLI::App* debug = app.add_subcommand(
        "debug", "stop a stage's run anywhere, and look; help lists the commands");
    describe_run(*debug, debug_options.run, debug_firmware, debug_driver);
    debug->add_option("--at", debug_options.at, "exit:3, exit:CPUID, entry:2, tick:N, a function")
        ->type_name("PLACE")
        ->capture_default_str();

    // The script ./playground keeps this one for itself: here it is for --help only.
    CLI::App* test = app.add_subcommand(
        "test", "build everything and run all tests; test --help shows its options");
    test->allow_extras();

    VmcsOptions vmcs_options;
    CLI::App* vmcs = app.add_subcommand(
        "vmcs", "show what the VMCS held at a VM entry or exit of a recorded run");
    describe_vmcs(*vmcs, vmcs_options);

    DiffOptions diff_options;
    CLI::App* diff = app.add_subcommand(
        "diff", "show what a stage adds to another, or what changed from one run to another");
    diff->add_option("before", diff_options.before, "a stage, or a run's folder")
        ->required()
        ->type_name("STAGE|RUN");
    diff->add_option("after", diff_options.after, "the stage that adds to it, or the other run")
        ->required()
        ->type_name("STAGE|RUN");

    NewOptions new_options;
    CLI::App* make_new = app.add_subcommand("new", "make a stage of your own, which runs at once");
    make_new->add_option("name", new_options.name, "its name")->required()->type_name("NAME");
    make_new->add_option("--from", new_options.from, "the stage to begin with")
        ->type_name("STAGE")
        ->capture_default_str();

    BreakOptions break_options;
    CLI::App* make_break = app.add_subcommand(
        "break",
        "make the edits of an exercise in the sources; without a name: list all exercises");
    make_break->add_option("name", break_options.name, "the exercise's name")->type_name("NAME");
    UnbreakOptions unbreak_options;
    CLI::App* undo_break = app.add_subcommand(
        "unbreak", "undo an exercise's edits; without a name: all that are in the sources");
    undo_break->add_option("name", unbreak_options.name, "the exercise's name")->type_name("NAME");

    CLI::App* list = app.add_subcommand("list", "show the stages");
    CLI::App* clean = app.add_subcommand("clean", "remove what was built and all runs");

    BenchOptions bench_options;
    CLI::App* bench = app.add_subcommand("bench", "measure");
    bench
        ->add_option("name", bench_options.name,
                     "startup: seconds from command to story; exits: instructions that the VMM "
                     "needs for each kind of exit; ept: what an EPT costs, in instructions and "
                     "bytes")
        ->required()
        ->check(CLI::IsMember({"startup", "exits", "ept"}))
        ->type_name("NAME");
    bench->add_flag("--json", bench_options.json, "print the figures as JSON and nothing else");
    bench->add_option("-n", bench_options.runs, "startup: how often")
        ->type_name("N")
        ->transform(whole_number(1, 1000))
        ->capture_default_str();

    RulesOptions rules_options;
    CLI::App* rules = app.add_subcommand("rules", "show what VM entry checks, rule by rule");
    rules
        ->add_option("word", rules_options.word,
                     "only rules with this word in them, or of this section of SDM 3C (26.3.1.2)")
        ->type_name("WORD|SECTION");
    rules->add_flag("--page", rules_options.page, "print all rules as one page of Markdown");

    ExplainOptions explain_options;
    CLI::App* explain_command =
        app.add_subcommand("explain", "say why a VM entry fails, or what a number means");
    describe_explain(*explain_command, explain_options);

    refuse_empty_words(app);
    try {
        app.parse(count, arguments);
    } catch (const CLI::CallForHelp&) {
        std::fputs(app.help().c_str(), stdout);
        return Done{ExitStatus::passed};
    } catch (const CLI::ParseError& error) {
        return bad_usage(what_is_wrong(app, error));
    }
    if (*run) {
        return finish_run(run_options, firmware, driver, run->count("stage") > 0, repository);
    }
    if (*debug) {
        const Options run_of_it = finish_run(debug_options.run, debug_firmware, debug_driver,
                                             debug->count("stage") > 0, repository);
        return finish_debug(std::move(debug_options), run_of_it);
    }
    if (*test) {
        return bad_usage("test is run by the script ./playground, not by this program");
    }
    if (*vmcs) {
        return vmcs_options;
    }
    if (*diff) {
        return finish_diff(diff_options, repository);
    }
    if (*make_new) {
        return finish_new(new_options, repository);
    }
    if (*make_break) {
        return finish_exercise(break_options, repository);
    }
    if (*undo_break) {
        return finish_exercise(unbreak_options, repository);
    }
    if (*list) {
        return ListOptions{};
    }
    if (*clean) {
        return CleanOptions{};
    }
    if (*explain_command) {
        return finish_explain(explain_options);
    }
    if (*rules) {
        return rules_options;
    }
    if (*bench) {
        if (bench_options.name != "startup" && bench->count("-n") > 0) {
            return bad_usage("bench " + bench_options.name +
                             " counts instructions: the same each time, so no -n");
        }
        return bench_options;
    }
    std::fputs(app.help().c_str(), stdout);
    return Done{ExitStatus::passed};
}

}  // namespace hvp::tool
