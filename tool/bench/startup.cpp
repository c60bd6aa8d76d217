// `bench startup`: from the command to the story.
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <optional>
#include <vector>

#include "lab/machine/configuration.hpp"
#include "lab/machine/emulator.hpp"
#include "tool/base/files.hpp"
#include "tool/base/subprocess.hpp"
#include "tool/base/temporary_folder.hpp"
#include "tool/bench/bench.hpp"
#include "tool/record/event.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

struct Times {
    double min = 0;
    double median = 0;
    double max = 0;
    std::size_t n = 0;
};

// Seconds of each call; nullopt as soon as one fails.
std::optional<Times> measure(unsigned runs, const std::function<bool()>& work) {
    std::vector<double> seconds;
    for (unsigned i = 0; i < runs; ++i) {
        const auto start = std::chrono::steady_clock::now();
        if (!work()) {
            return std::nullopt;
        }
        seconds.push_back(
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    std::ranges::sort(seconds);
    const std::size_t half = seconds.size() / 2;
    const double median =
        seconds.size() % 2 == 1 ? seconds[half] : (seconds[half - 1] + seconds[half]) / 2;
    return Times{seconds.front(), median, seconds.back(), seconds.size()};
}

// The smallest firmware there is: its first instructions say `Shutdown` to the shutdown port.
std::string shutdown_rom() {
    constexpr std::size_t rom_bytes = 0x1'0000;
    constexpr std::size_t reset_vector = 0xFFF0;
    std::string code{"\xBA\x00\x89", 3};  // mov dx, 0x8900
    for (const char letter : std::string_view{"Shutdown"}) {
        code += '\xB0';  // mov al, letter
        code += letter;
        code += '\xEE';  // out dx, al
    }
    code += "\xF4\xEB\xFD";  // hlt; jmp to it
    std::string rom(rom_bytes, '\xFF');
    rom.replace(0, code.size(), code);
    const std::string jump{"\xEA\x00\x00\x00\xF0", 5};  // jmp 0xF000:0
    rom.replace(reset_vector, jump.size(), jump);
    return rom;
}

// The emulator with a machine like that of `run`, but nothing to do in it.
constexpr std::uint64_t machine_timeout = 1'000'000'000;

bool run_bare_emulator(const fs::path& folder) {
    std::string console;
    const auto outcome = lab::run_emulator({
        .folder = folder,
        .machine = {.processors = 1, .timeout_ticks = machine_timeout},
        .stop_descriptor = -1,
        .on_console = [&](std::string_view bytes) { console += bytes; },
        .on_log = [](std::string_view) { return std::uint64_t{0}; },
        .go_on = [] { return true; },
    });
    return outcome && console.contains("shutdown requested");
}

bool write_bare_machine(const fs::path& folder) {
    const lab::MachineOptions machine{.model = std::string{lab::default_model},
                                      .rom_file = "rom.bin",
                                      .ram_image_file = {},
                                      .msrs_file = "msrs"};
    return write_file(folder / "bochsrc", lab::bochsrc(machine)) &&
           write_file(folder / "rc", lab::debugger_script(machine)) &&
           write_file(folder / "msrs", lab::msr_list()) &&
           write_file(folder / "rom.bin", shutdown_rom());
}

std::string host_machine() {
    utsname names{};
    uname(&names);
    return fmt::format("{} {}, {} processors", names.sysname, names.machine,
                       sysconf(_SC_NPROCESSORS_ONLN));
}

Json as_json(const char* name, const Times& times) {
    return {{"case", name},           {"unit", "s"},      {"min", times.min},
            {"median", times.median}, {"max", times.max}, {"n", times.n}};
}

ExitStatus complain(std::string_view sentence) {
    fmt::print(stderr, "bench: {}\n", sentence);
    return ExitStatus::failed;
}

}  // namespace

ExitStatus bench_startup(const BenchOptions& options, const Repository& repository) {
    const TemporaryFolder folder{"bench"};
    if (!write_bare_machine(folder.path())) {
        return complain("cannot write to " + folder.path().string());
    }
    // Runs of a measurement do not belong among the user's.
    const Command run{.arguments = {(repository.root / "playground").string(), "run", "launch"},
                      .folder = {},
                      .environment = {{"HVP_RUNS", (folder.path() / "runs").string()}}};
    const auto whole = measure(options.runs, [&] {
        const auto captured = capture(run);
        return captured && captured->status == 0;
    });
    const auto bare = measure(options.runs, [&] { return run_bare_emulator(folder.path()); });
    if (!whole || !bare) {
        return complain(!whole ? "./playground run launch does not pass; run it to see why"
                               : "the emulator does not run");
    }
    const double ratio = whole->median / bare->median;
    if (options.json) {
        Json launch = as_json("run launch", *whole);
        launch["floor"] = bare->median;
        const Json result = {{"name", "startup"},
                             {"machine", host_machine()},
                             {"results", {launch, as_json("bare emulator", *bare)}}};
        fmt::print("{}\n", result.dump(2));
        return ExitStatus::passed;
    }
    fmt::print("startup, {} runs each (seconds: median, fastest to slowest)\n", options.runs);
    fmt::print("  ./playground run launch  {:.3f}   {:.3f} to {:.3f}\n", whole->median, whole->min,
               whole->max);
    fmt::print("  the emulator alone       {:.3f}   {:.3f} to {:.3f}\n", bare->median, bare->min,
               bare->max);
    fmt::print("  ratio                    {:.2f}\n", ratio);
    return ExitStatus::passed;
}

}  // namespace hvp::tool
