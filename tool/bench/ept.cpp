// `bench ept`: what it costs to give a guest its memory, and to change it.
#include <fmt/format.h>

#include <cstdio>
#include <optional>
#include <utility>

#include "tool/base/temporary_folder.hpp"
#include "tool/bench/bench.hpp"
#include "tool/bench/costs.hpp"
#include "tool/bench/identity.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {
namespace {

constexpr const char* violation = "EPT Violation";
constexpr const char* cpuid_exit = "CPUID";

struct EptFigures {
    Cost build;
    Cost edit;
    Cost split;
    Cost join;
    Cost violation;
    Cost cpuid;
    std::uint64_t pages;
    std::uint64_t table_bytes;
    std::uint64_t pool_bytes;
    std::uint64_t least_stores;  ///< for building
};

// What the driver has measured itself, and the processor.
std::optional<EptFigures> figures_in(const std::vector<Json>& events) {
    Costs costs;
    const Json* built = nullptr;
    for (const Json& event : events) {
        const std::string name = event.value("event", "");
        if (name == "Ticks") {
            costs[event.value("of", "")].sorted.push_back(number_of(event.at("ticks")));
        } else if (name == "Built") {
            built = &event;
        }
    }
    sort(costs);
    Costs exits = exit_costs(events);
    if (built == nullptr || !costs.contains("build") || !costs.contains("edit") ||
        !costs.contains("split") || !costs.contains("join") || !exits.contains(violation) ||
        !exits.contains(cpuid_exit)) {
        return std::nullopt;
    }
    return EptFigures{.build = costs["build"],
                      .edit = costs["edit"],
                      .split = costs["split"],
                      .join = costs["join"],
                      .violation = exits[violation],
                      .cpuid = exits[cpuid_exit],
                      .pages = number_of(built->at("pages")),
                      .table_bytes = number_of(built->at("table_bytes")),
                      .pool_bytes = number_of(built->at("pool_bytes")),
                      .least_stores = number_of(built->at("least"))};
}

Json results_of(const EptFigures& figures) {
    Json results = Json::array();
    const auto add = [&](const char* name, const Cost& cost) {
        results.push_back(as_json(name, "instructions", cost));
    };
    const auto add_bytes = [&](const char* name, std::uint64_t bytes) {
        results.push_back(as_json(name, "bytes", {.sorted = {bytes}}));
    };
    add("build", figures.build);
    results.back()["floor"] = figures.least_stores;
    add("edit", figures.edit);
    add("split", figures.split);
    add("join", figures.join);
    add("EPT violation", figures.violation);
    results.back()["floor"] = figures.cpuid.max();
    add_bytes("tables", figures.table_bytes);
    add_bytes("pool", figures.pool_bytes);
    return results;
}

void print_table(const EptFigures& figures) {
    const auto row = [](const char* what, const std::string& figure, const std::string& note) {
        fmt::print("  {:<35}{:>16}   {}\n", what, figure, note);
    };
    fmt::print("ept: instructions ({})\n", bench_machine());
    row("tables built", cost_text(figures.build),
        fmt::format("for {} pages, each alone; the stores alone are {}", figures.pages,
                    grouped(figures.least_stores)));
    row("a page redirected, INVEPT included", cost_text(figures.edit), "in VMX root operation");
    row("a page of 2 MBytes split", cost_text(figures.split), "into 512; without INVEPT");
    row("… and merged again", cost_text(figures.join), "after a look at each part");
    row("EPT violation, from exit to entry", cost_text(figures.violation),
        "a page exchanged on the way, INVEPT included");
    row("CPUID, from exit to entry", cost_text(figures.cpuid),
        "the floor: what an exit costs that asks for little");
    fmt::print("ept: bytes\n");
    row("tables", grouped(figures.table_bytes), "of the guest above");
    row("pool", grouped(figures.pool_bytes), "taken for them before launch");
}

}  // namespace

ExitStatus bench_ept(const BenchOptions& options, const Repository& repository) {
    const TemporaryFolder folder{"bench"};
    const auto events =
        run_bench_driver(repository.stage_driver("bench-ept"), "bench-ept", folder.path());
    if (!events) {
        return ExitStatus::failed;
    }
    const auto figures = figures_in(*events);
    if (!figures) {
        fmt::print(stderr, "bench: the run of bench-ept.sys lacks a figure\n");
        return ExitStatus::failed;
    }
    auto untraced = view_costs(repository, "bench-views", folder.path());
    auto traced = untraced ? view_costs(repository, "ept-identity", folder.path()) : std::nullopt;
    const auto identities = traced ? identity_costs(repository) : std::nullopt;
    if (!identities) {
        return ExitStatus::failed;
    }
    const ViewCosts views{std::move(*untraced), std::move(*traced)};
    if (options.json) {
        Json results = results_of(*figures);
        add_identity(results, *identities, views);
        const Json all = {{"name", "ept"}, {"machine", bench_machine()}, {"results", results}};
        fmt::print("{}\n", all.dump(2));
    } else {
        print_table(*figures);
        print_identity(*identities, views);
    }
    return ExitStatus::passed;
}

}  // namespace hvp::tool
