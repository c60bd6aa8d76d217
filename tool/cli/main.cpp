// The host program that ./playground starts.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <system_error>
#include <variant>

#include "tool/base/output.hpp"
#include "tool/bench/bench.hpp"
#include "tool/cli/command_line.hpp"
#include "tool/cli/diff.hpp"
#include "tool/cli/exercises.hpp"
#include "tool/cli/housekeeping.hpp"
#include "tool/cli/new_stage.hpp"
#include "tool/debug/debug.hpp"
#include "tool/explain/explain.hpp"
#include "tool/explain/rules.hpp"
#include "tool/run/replays/record_again.hpp"
#include "tool/run/run.hpp"
#include "tool/vmcs/explain_run.hpp"
#include "tool/vmcs/run_difference.hpp"
#include "tool/vmcs/vmcs_command.hpp"

namespace hvp::tool {
namespace {

class Dispatch {
public:
    explicit Dispatch(const Repository& repository) : repository_{repository} {}

    ExitStatus operator()(const RunOptions& options) const { return run(options, repository_); }
    ExitStatus operator()(const DebugOptions& options) const { return debug(options, repository_); }
    ExitStatus operator()(const BenchOptions& options) const {
        if (options.name == "startup") {
            return bench_startup(options, repository_);
        }
        return options.name == "ept" ? bench_ept(options, repository_)
                                     : bench_exits(options, repository_);
    }
    ExitStatus operator()(const VmcsOptions& options) const {
        const std::filesystem::path folder = options.run.empty()
                                                 ? repository_.runs() / "latest"
                                                 : std::filesystem::path{options.run};
        const ExitStatus status = record_where_missing(folder);
        return status == ExitStatus::passed ? vmcs(options, repository_) : status;
    }
    ExitStatus operator()(const DiffOptions& options) const {
        return is_run(options.before) ? diff_runs(options) : diff(options, repository_);
    }
    ExitStatus operator()(const NewOptions& options) const {
        return new_stage(options, repository_);
    }
    ExitStatus operator()(const BreakOptions& options) const {
        return make_break(options, repository_);
    }
    ExitStatus operator()(const UnbreakOptions& options) const {
        return undo_break(options, repository_);
    }
    ExitStatus operator()(const ListOptions&) const { return list(repository_); }
    ExitStatus operator()(const CleanOptions&) const { return clean(repository_); }
    ExitStatus operator()(const RulesOptions& options) const { return rules(options); }
    ExitStatus operator()(const ExplainOptions& options) const {
        if (!is_run_without_failed_entry(options.file)) {
            return explain(options, repository_);
        }
        const ExitStatus status = record_where_missing(options.file);
        return status == ExitStatus::passed ? explain_run(options) : status;
    }
    ExitStatus operator()(const Done& done) const { return done.status; }

private:
    // A run that was not recorded is run once more.
    [[nodiscard]] ExitStatus record_where_missing(const std::filesystem::path& folder) const {
        if (!lacks_recording(folder)) {
            return ExitStatus::passed;
        }
        const auto missing = record_again(folder, repository_);
        if (!missing || !missing->empty()) {
            std::fprintf(stderr, "playground: %s\n",
                         (missing ? *missing : missing.error().why).c_str());
        }
        return missing ? ExitStatus::passed : missing.error().status;
    }

    const Repository& repository_;
};

// Printing ends with an exception where standard output cannot be written.
void complain(const std::exception& exception, int error) {
    if (std::ferror(stdout) != 0) {
        note_output_error(error);
    } else {
        std::fprintf(stderr, "playground: %s\n", exception.what());
    }
}

}  // namespace
}  // namespace hvp::tool

int main(int count, char** arguments) {
    // A file that would grow too large is an error like any other, not the end of the program; so
    // is a reader of our output that has gone away.
    std::signal(SIGXFSZ, SIG_IGN);
    std::signal(SIGPIPE, SIG_IGN);
    hvp::tool::keep_standard_streams();
    auto status = hvp::tool::ExitStatus::failed;
    try {
        const auto repository = hvp::tool::Repository::of_this_program();
        const auto options = hvp::tool::read_command_line(count, arguments, repository);
        status = std::visit(hvp::tool::Dispatch{repository}, options);
    } catch (const std::system_error& error) {
        hvp::tool::complain(error, error.code().value());
    } catch (const std::exception& error) {
        hvp::tool::complain(error, EIO);
    }
    if (const std::string unwritten = hvp::tool::unwritten_output(); !unwritten.empty()) {
        std::fprintf(stderr, "playground: %s\n", unwritten.c_str());
        status = hvp::tool::ExitStatus::failed;
    }
    return static_cast<int>(status);
}
