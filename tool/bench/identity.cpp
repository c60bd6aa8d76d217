#include "tool/bench/identity.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdio>

#include "tool/base/subprocess.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {
namespace {

constexpr const char* step_ends = "step ends";
constexpr std::array view_names{"code", "data", "step", step_ends};

/// For a comparison with designs in which each processor has tables of its own.
constexpr std::uint64_t processors = 8;

std::string name_of(const Json& identity) {
    const auto bytes = identity.at("page_bytes").get<std::uint64_t>();
    const char* const pages = bytes > 1U << 21 ? "1 GB" : bytes > 1U << 12 ? "2 MB" : "4 KB";
    return fmt::format("{} GiB, pages of {}", identity.at("memory_gib").get<std::uint64_t>(),
                       pages);
}

}  // namespace

std::optional<Json> identity_costs(const Repository& repository) {
    const auto printed =
        capture({.arguments = {repository.programs() / "bench-identity"}, .folder = {}});
    Json identities = printed ? Json::parse(printed->output, nullptr, false) : Json{};
    if (!printed || printed->status != 0 || !identities.is_array()) {
        fmt::print(stderr, "bench: bench-identity, which builds maps on this computer, failed\n");
        return std::nullopt;
    }
    return identities;
}

std::optional<Costs> view_costs(const Repository& repository, const std::filesystem::path& folder) {
    const auto events =
        run_bench_driver(repository.stage_driver("ept-identity"), "bench-ept-identity", folder);
    if (!events) {
        return std::nullopt;
    }
    Costs costs;
    std::uint64_t exit_at = 0;
    std::string kind;
    for (const Json& event : *events) {
        const std::string name = event.value("event", "");
        const auto t = event.at("t").get<std::uint64_t>();
        if (name == "ViewChanged") {
            kind = event.at("view").get<std::string>();
        } else if (event.value("from", "") != "processor") {
            continue;
        } else if (name == "VmExit") {
            exit_at = t;
            kind = event.value("reason_number", 1U) == 0 ? step_ends : "";
        } else if (name == "VmEntry" && !kind.empty()) {
            costs[kind].sorted.push_back(t - exit_at);
            kind.clear();
        }
    }
    sort(costs);
    for (const char* const view : view_names) {
        if (!costs.contains(view)) {
            fmt::print(stderr, "bench: the run of ept-identity.sys has nothing about: {}\n", view);
            return std::nullopt;
        }
    }
    return costs;
}

void add_identity(Json& results, const Json& identities, const Costs& views) {
    for (const auto& [view, cost] : views) {
        results.push_back(as_json(
            view == step_ends ? "single step, end" : "EPT violation, to the " + view + " view",
            "instructions", cost));
    }
    for (const Json& identity : identities) {
        const std::string name = "identity of " + name_of(identity);
        const auto bytes = identity.at("table_bytes").get<std::uint64_t>();
        results.push_back(as_json(name, "bytes", {.sorted = {bytes}}));
        results.push_back(as_json(name + ", for each of 8 processors", "bytes",
                                  {.sorted = {processors * bytes}}));
        if (identity.contains("seconds")) {
            const Json& seconds = identity.at("seconds");
            results.push_back({{"case", name},
                               {"unit", "seconds"},
                               {"min", seconds},
                               {"median", seconds},
                               {"max", seconds},
                               {"n", 1}});
        }
    }
}

void print_identity(const Json& identities, const Costs& views) {
    const auto row = [&](const char* what, const char* view, const char* note) {
        fmt::print("  {:<35}{:>16}   {}\n", what, cost_text(views.at(view)), note);
    };
    fmt::print("ept-identity: instructions, from exit to entry\n");
    row("fetch, to the code view", "code", "another EPT pointer, no INVEPT");
    row("read or write, to the data view", "data", "after finding the page of RIP");
    row("read of its own page, to the step", "step", "a page composed, INVEPT included");
    row("end of the step", step_ends, "what it wrote is copied back");
    fmt::print("identity: bytes of tables, and seconds on this computer to build them\n");
    fmt::print("  {:<26}{:>16}{:>22}{:>12}\n", "", "once for all", "each of 8 processors",
               "seconds");
    for (const Json& identity : identities) {
        const auto bytes = identity.at("table_bytes").get<std::uint64_t>();
        fmt::print("  {:<26}{:>16}{:>22}{:>12}\n", name_of(identity), grouped(bytes),
                   grouped(processors * bytes),
                   identity.contains("seconds")
                       ? fmt::format("{:.6f}", identity.at("seconds").get<double>())
                       : "not built");
    }
    fmt::print("  each view with one target adds {} bytes\n",
               grouped(identities.at(0).at("view_bytes").get<std::uint64_t>()));
}

}  // namespace hvp::tool
