#include "tool/bench/identity.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstdio>
#include <string_view>

#include "hypervisor/ept/violation.hpp"
#include "hypervisor/vmcs/exit_reason.hpp"
#include "tool/base/subprocess.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {
namespace {

constexpr const char* step_ends = "step ends";
constexpr const char* to_data = "data";
constexpr std::array view_names{"code", to_data, "step", step_ends};

/// For a comparison with designs in which each processor has tables of its own.
constexpr std::uint64_t processors = 8;

std::string name_of(const Json& identity) {
    const auto bytes = identity.at("page_bytes").get<std::uint64_t>();
    const char* const pages = bytes > 1U << 21 ? "1 GB" : bytes > 1U << 12 ? "2 MB" : "4 KB";
    return fmt::format("{} GiB, pages of {}", identity.at("memory_gib").get<std::uint64_t>(),
                       pages);
}

/// An exit, as long as the next one may say what it was.
struct ViewChange {
    std::string_view kind;
    std::uint64_t exit_at{};
    std::optional<std::uint64_t> ticks{};
};

/// Which view a violation leads to, by the processor's own report: a fetch to the code view, an
/// access to the data view or, if the next exit is the end of a step, to the step view.
const char* view_change_of(const Json& exit) {
    switch (static_cast<vmx::ExitReason>(exit.value("reason_number", 1U))) {
        case vmx::ExitReason::exception_or_nmi:
            return step_ends;
        case vmx::ExitReason::ept_violation: {
            const auto number = std::stoull(exit.value("qualification", "0"), nullptr, 0);
            return std::bit_cast<ept::ViolationQualification>(number).execute != 0 ? "code"
                                                                                   : to_data;
        }
        default:
            return "";
    }
}

void note(Costs& costs, const std::optional<ViewChange>& change) {
    if (change && !change->kind.empty() && change->ticks) {
        costs[std::string{change->kind}].sorted.push_back(*change->ticks);
    }
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

std::optional<Costs> view_costs(const Repository& repository, const char* driver,
                                const std::filesystem::path& folder) {
    const auto events = run_bench_driver(repository.stage_driver(driver),
                                         fmt::format("bench-of-{}", driver), folder);
    if (!events) {
        return std::nullopt;
    }
    Costs costs;
    std::optional<ViewChange> last;
    for (const Json& event : *events) {
        const std::string name = event.value("from", "") == "processor" ? event.at("event") : "";
        const auto t = event.at("t").get<std::uint64_t>();
        if (name == "VmExit") {
            const char* const kind = view_change_of(event);
            if (last && last->kind == to_data && kind == step_ends) {
                last->kind = "step";
            }
            note(costs, last);
            last = {.kind = kind, .exit_at = t};
        } else if (name == "VmEntry" && last) {
            last->ticks = t - last->exit_at;
        }
    }
    note(costs, last);
    sort(costs);
    for (const char* const view : view_names) {
        if (!costs.contains(view)) {
            fmt::print(stderr, "bench: the run of {}.sys has nothing about: {}\n", driver, view);
            return std::nullopt;
        }
    }
    return costs;
}

void add_identity(Json& results, const Json& identities, const ViewCosts& views) {
    const auto add = [&](const Costs& costs, const char* how) {
        for (const auto& [view, cost] : costs) {
            const std::string what =
                view == step_ends ? "single step, end" : "EPT violation, to the " + view + " view";
            results.push_back(as_json(what + how, "instructions", cost));
        }
    };
    add(views.untraced, "");
    add(views.traced, ", traced");
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

void print_identity(const Json& identities, const ViewCosts& views) {
    const auto row = [&](const char* what, const char* view, const char* note) {
        fmt::print("  {:<35}{:>9}{:>9}   {}\n", what, cost_text(views.untraced.at(view)),
                   cost_text(views.traced.at(view)), note);
    };
    fmt::print(
        "ept-identity: instructions, from exit to entry; the second figure is with a trace\n");
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
