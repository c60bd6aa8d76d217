// What the command line asks for.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lab/boot/boot_block.hpp"
#include "lab/machine/models.hpp"

namespace hvp::tool {

/// How the program ends; a contract.
enum class ExitStatus : int {
    passed = 0,
    failed = 1,  ///< failed, hung, bugcheck
    bad_usage = 2,
    host_lacks = 3,  ///< something has to be installed
    refused = 4,     ///< DriverEntry refused, and everything is as before
    interrupted = 130,
};

/// What each means; README.md has the same words.
struct ExitStatusWords {
    ExitStatus status;
    std::string_view words;
};
inline constexpr auto exit_statuses = std::to_array<ExitStatusWords>({
    {ExitStatus::passed, "passed"},
    {ExitStatus::failed, "failed, hung or bug check"},
    {ExitStatus::bad_usage, "the command was wrong"},
    {ExitStatus::host_lacks, "this computer lacks something"},
    {ExitStatus::refused,
     "the driver refused to start, before any VMLAUNCH, and left everything as it was"},
    {ExitStatus::interrupted, "interrupted by Ctrl-C"},
});

/// How --firmware-vmx and summary.json call what firmware does.
struct FirmwareSetting {
    std::string_view name;
    lab::FirmwareVmx value;
};
inline constexpr auto firmware_settings = std::to_array<FirmwareSetting>({
    {"locked-on", lab::FirmwareVmx::locked_on},
    {"locked-off", lab::FirmwareVmx::locked_off},
    {"unlocked", lab::FirmwareVmx::unlocked},
});

struct RunOptions {
    std::string stage = "launch";
    std::optional<std::filesystem::path> driver;  ///< a .sys file instead of a stage's driver
    std::string model{lab::default_model};
    unsigned cpus = 1;
    std::optional<unsigned> processor;  ///< where the driver starts; else the seed says
    unsigned memory_mib = 512;
    lab::FirmwareVmx firmware_vmx = lab::FirmwareVmx::locked_on;
    std::uint64_t timeout_ticks = 2'000'000'000;
    std::uint64_t seed = 0;
    std::uint32_t loads = 1;
    std::uint64_t fail_allocation = 0;
    bool odd_state = false;
    bool keep = false;
    bool json = false;
    bool all_events = false;
    bool record = false;
    bool processor_log = true;
};

struct DebugOptions {
    RunOptions run;
    std::string at = "exit:1";
};

struct DiffOptions {
    std::string before;  ///< stages
    std::string after;
};

struct NewOptions {
    std::string name;
    std::string from = "guest-state";  ///< a stage
};

/// An exercise of a chapter by its name; empty: all of them.
struct BreakOptions {
    std::string name;
};
struct UnbreakOptions {
    std::string name;
};

/// Recorded states; a moment is `exit:N` or `entry:N`, empty: the first entry.
struct VmcsOptions {
    std::string run;  ///< a run's folder; empty: runs/latest
    std::string at;
    std::vector<std::string> difference;  ///< two moments
    bool all = false;
    bool json = false;
};

struct ListOptions {};
struct CleanOptions {};

struct BenchOptions {
    std::string name;
    unsigned runs = 10;
    bool json = false;
};

struct RulesOptions {
    std::string word;   ///< a word or a section; empty: all rules
    bool page = false;  ///< all rules as one page of Markdown
};

/// A dump, or numbers; each as it was typed, empty where it was not.
struct ExplainOptions {
    std::string file;  ///< "-": standard input
    std::string model{lab::default_model};
    bool has_model = false;  ///< the user has named it: it is the dump's processor
    bool json = false;
    std::string exit;
    std::string qualification;
    std::string error;
    std::string controls;
    std::string field;
    std::string interruption;
    std::string access_rights;
    std::string ept_entry;
    std::string cr4;
    std::string status;
};

/// Nothing is left to do: help was shown, or the usage was bad.
struct Done {
    ExitStatus status;
};

using Options = std::variant<RunOptions, DebugOptions, VmcsOptions, DiffOptions, NewOptions,
                             BreakOptions, UnbreakOptions, ListOptions, CleanOptions, BenchOptions,
                             RulesOptions, ExplainOptions, Done>;

}  // namespace hvp::tool
