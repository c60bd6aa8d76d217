// `bench exits`: what the VMM adds to an instruction of its guest that exits.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <vector>

#include "lab/machine/models.hpp"
#include "lab/machine/processor_log.hpp"
#include "tool/bench.hpp"
#include "tool/event.hpp"
#include "tool/exit_details.hpp"
#include "tool/subprocess.hpp"
#include "tool/temporary_folder.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

// What an exit for CPUID may cost, with the trace off.
constexpr double most_times_the_floor = 1.5;
constexpr std::uint64_t less_than = 100;

constexpr const char* cpuid = "CPUID";

// Instructions from exits of one kind to the entries that follow them.
struct Cost {
    std::vector<std::uint64_t> sorted;

    [[nodiscard]] std::uint64_t min() const { return sorted.front(); }
    [[nodiscard]] std::uint64_t median() const { return sorted[sorted.size() / 2]; }
    [[nodiscard]] std::uint64_t max() const { return sorted.back(); }
};
using Costs = std::map<std::string, Cost>;

// "CPUID"; "MOV from CR3 to RAX" where one reason stands for several instructions.
std::string kind_of(const Json& exit) {
    const std::string details =
        exit_details({.t = 0, .cpu = 0, .from = "processor", .name = "VmExit", .fields = exit});
    return details.empty() ? exit.at("reason").get<std::string>() : details;
}

Costs costs_in(const fs::path& events) {
    Costs costs;
    std::ifstream file{events};
    Json exit;
    for (std::string line; std::getline(file, line);) {
        const Json event = Json::parse(line, nullptr, false);
        if (event.is_discarded() || event.value("from", "") != "processor") {
            continue;
        }
        const std::string name = event.value("event", "");
        if (name == "VmEntry" && !exit.is_null()) {
            costs[kind_of(exit)].sorted.push_back(event.at("t").get<std::uint64_t>() -
                                                  exit.at("t").get<std::uint64_t>());
        }
        if (name == "VmEntry" || name == "VmExit") {
            exit = name == "VmExit" ? event : Json{};
        }
    }
    for (auto& [kind, cost] : costs) {
        std::ranges::sort(cost.sorted);
    }
    return costs;
}

// Runs bench/exits.cpp under the name that chooses who handles the exits; nullopt: it failed, and
// has said why.
std::optional<Costs> measure(const char* vmm, const fs::path& folder,
                             const Repository& repository) {
    const fs::path driver = folder / fmt::format("bench-{}.sys", vmm);
    std::error_code error;
    fs::copy_file(repository.stage_driver("bench-exits"), driver, error);
    if (error) {
        fmt::print(stderr, "bench: {}: {}\n", driver.string(), error.message());
        return std::nullopt;
    }
    const fs::path runs = folder / vmm;
    const auto captured = capture({.arguments = {"/proc/self/exe", "run", "--driver", driver},
                                   .folder = {},
                                   .environment = {{"HVP_RUNS", runs.string()}}},
                                  true);
    if (!captured || captured->status != 0) {
        fmt::print(stderr, "bench: the driver {} does not pass\n{}", driver.filename().string(),
                   captured ? captured->output : "");
        return std::nullopt;
    }
    return costs_in(runs / "latest" / "events.jsonl");
}

struct Figures {
    Costs plain;
    Costs traced;
    Cost floor;
    Cost bare;
};

std::optional<Figures> measure_all(const Repository& repository) {
    const TemporaryFolder folder{"bench"};
    auto plain = measure("vmm", folder.path(), repository);
    auto traced = plain ? measure("traced", folder.path(), repository) : std::nullopt;
    auto floor = traced ? measure("floor", folder.path(), repository) : std::nullopt;
    auto bare = floor ? measure("bare", folder.path(), repository) : std::nullopt;
    if (!bare) {
        return std::nullopt;
    }
    for (const Costs* costs : {&*plain, &*traced, &*floor, &*bare}) {
        if (!costs->contains(cpuid)) {
            fmt::print(stderr, "bench: the processor's log has no exit for CPUID\n");
            return std::nullopt;
        }
    }
    return Figures{std::move(*plain), std::move(*traced), floor->at(cpuid), bare->at(cpuid)};
}

Json as_json(const std::string& name, const Cost& cost) {
    return {{"case", name},      {"unit", "instructions"},
            {"min", cost.min()}, {"median", cost.median()},
            {"max", cost.max()}, {"n", cost.sorted.size()}};
}

std::string machine() {
    return fmt::format("{}, {}, 1 processor", lab::known_emulator, lab::default_model);
}

void print_json(const Figures& figures) {
    Json results = Json::array();
    for (const auto& [kind, cost] : figures.plain) {
        results.push_back(as_json(kind, cost));
        if (kind == cpuid) {
            results.back()["floor"] = figures.floor.max();
        }
    }
    for (const auto& [kind, cost] : figures.traced) {
        results.push_back(as_json(kind + ", traced", cost));
    }
    results.push_back(as_json("CPUID, honest floor", figures.floor));
    results.push_back(as_json("CPUID, bare minimum", figures.bare));
    const Json all = {{"name", "exits"}, {"machine", machine()}, {"results", results}};
    fmt::print("{}\n", all.dump(2));
}

// All figures of a kind are equal, or the table says between which they lie.
std::string text(const Cost& cost) {
    return cost.min() == cost.max() ? fmt::format("{}", cost.max())
                                    : fmt::format("{} to {}", cost.min(), cost.max());
}

void print_table(const Figures& figures, double ratio) {
    fmt::print("exits: instructions from a VM exit to the next VM entry ({})\n", machine());
    fmt::print("  {:<24}{:>12}{:>12}\n", "", "trace off", "trace on");
    for (const auto& [kind, cost] : figures.plain) {
        const auto traced = figures.traced.find(kind);
        fmt::print("  {:<24}{:>12}{:>12}\n", kind, text(cost),
                   traced == figures.traced.end() ? "" : text(traced->second));
    }
    fmt::print("  {:<24}{:>12}   all that is right, written by hand: bench/floor.S\n",
               "CPUID, honest floor", text(figures.floor));
    fmt::print("  {:<24}{:>12}   four registers saved, and RIP moved by two\n",
               "CPUID, bare minimum", text(figures.bare));
    fmt::print(
        "CPUID costs {:.2f} times the honest floor; at most {} and under {} instructions are "
        "allowed\n",
        ratio, most_times_the_floor, less_than);
}

}  // namespace

ExitStatus bench_exits(const BenchOptions& options, const Repository& repository) {
    const auto figures = measure_all(repository);
    if (!figures) {
        return ExitStatus::failed;
    }
    const std::uint64_t cost = figures->plain.at(cpuid).max();
    const double ratio = static_cast<double>(cost) / static_cast<double>(figures->floor.min());
    if (options.json) {
        print_json(*figures);
    } else {
        print_table(*figures, ratio);
    }
    if (ratio > most_times_the_floor || cost >= less_than) {
        std::fflush(stdout);
        fmt::print(stderr,
                   "bench: an exit for CPUID costs {} instructions, {:.2f} times the honest floor "
                   "of {}; make the path in hypervisor/vmx/exit_dispatch.hpp shorter\n",
                   cost, ratio, figures->floor.min());
        return ExitStatus::failed;
    }
    return ExitStatus::passed;
}

}  // namespace hvp::tool
