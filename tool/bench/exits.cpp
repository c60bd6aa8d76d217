// `bench exits`: what the VMM adds to an instruction of its guest that exits.
#include <fmt/format.h>

#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "tool/base/output.hpp"
#include "tool/base/temporary_folder.hpp"
#include "tool/bench/bench.hpp"
#include "tool/bench/costs.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

constexpr const char* cpuid = "CPUID";
// The instruction that the VMM answers with an exception, #UD.
constexpr const char* refused = "VMXOFF";

// What exits may cost.
constexpr std::uint64_t most_for_cpuid = 75;
constexpr std::uint64_t most_for_cpuid_traced = 130;
constexpr std::uint64_t most_for_refused_traced = 160;

// Runs bench/exits.cpp under the name that chooses what handles the exits.
std::optional<Costs> measure(const std::string& vmm, const fs::path& folder,
                             const Repository& repository) {
    const auto events =
        run_bench_driver(repository.stage_driver("bench-exits"), "bench-" + vmm, folder);
    return events ? std::optional{exit_costs(*events)} : std::nullopt;
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

void print_json(const Figures& figures) {
    Json results = Json::array();
    for (const auto& [kind, cost] : figures.plain) {
        results.push_back(as_json(kind, "instructions", cost));
        if (kind == cpuid) {
            results.back()["floor"] = figures.floor.max();
        }
    }
    for (const auto& [kind, cost] : figures.traced) {
        results.push_back(as_json(kind + ", traced", "instructions", cost));
    }
    results.push_back(as_json("CPUID, floor", "instructions", figures.floor));
    results.push_back(as_json("CPUID, bare minimum", "instructions", figures.bare));
    const Json all = {{"name", "exits"}, {"machine", bench_machine()}, {"results", results}};
    fmt::print("{}\n", all.dump(2));
}

void print_table(const Figures& figures) {
    fmt::print("exits: instructions from a VM exit to the next VM entry ({})\n", bench_machine());
    fmt::print("  {:<24}{:>12}{:>12}\n", "", "trace off", "trace on");
    for (const auto& [kind, cost] : figures.plain) {
        const auto traced = figures.traced.find(kind);
        fmt::print("  {:<24}{:>12}{:>12}{}\n", kind, cost_text(cost),
                   traced == figures.traced.end() ? "" : cost_text(traced->second),
                   kind == refused ? "   #UD injected" : "");
    }
    fmt::print("  {:<24}{:>12}   all that is right, written by hand: bench/floor.S\n",
               "CPUID, floor", cost_text(figures.floor));
    fmt::print("  {:<24}{:>12}   four registers saved, and RIP moved by two\n",
               "CPUID, bare minimum", cost_text(figures.bare));
}

// Returns whether none is dearer than allowed, and says which is.
bool all_are_cheap(const Figures& figures) {
    bool cheap = true;
    const auto check = [&](const char* kind, const Costs& costs, const char* how,
                           std::uint64_t most) {
        const auto found = costs.find(kind);
        if (found == costs.end() || found->second.max() > most) {
            cheap = false;
            fmt::print(stderr,
                       "bench: an exit for {}{} may cost {} instructions and costs {}; look at "
                       "what its handler in hypervisor/exits/ has become\n",
                       kind, how, most,
                       found == costs.end() ? "none" : std::to_string(found->second.max()));
        }
    };
    check(cpuid, figures.plain, "", most_for_cpuid);
    check(cpuid, figures.traced, ", traced,", most_for_cpuid_traced);
    check(refused, figures.traced, ", traced,", most_for_refused_traced);
    return cheap;
}

}  // namespace

ExitStatus bench_exits(const BenchOptions& options, const Repository& repository) {
    const auto figures = measure_all(repository);
    if (!figures) {
        return ExitStatus::failed;
    }
    if (options.json) {
        print_json(*figures);
    } else {
        print_table(*figures);
    }
    flush_output();
    return all_are_cheap(*figures) ? ExitStatus::passed : ExitStatus::failed;
}

}  // namespace hvp::tool
