#include "tool/bench/costs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "lab/machine/models.hpp"
#include "lab/machine/processor_log.hpp"
#include "tool/base/subprocess.hpp"
#include "tool/record/words/exit_details.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

std::vector<Json> events_in(const fs::path& path) {
    std::vector<Json> events;
    std::ifstream file{path};
    for (std::string line; std::getline(file, line);) {
        Json event = Json::parse(line, nullptr, false);
        if (!event.is_discarded()) {
            events.push_back(std::move(event));
        }
    }
    return events;
}

// "CPUID"; "MOV from CR3 to RAX" where several instructions have one reason.
std::string kind_of(const Json& exit) {
    const Event event{.t = 0, .from = "driver", .name = "VmExit", .fields = exit};
    const ExitNumbers numbers = ExitNumbers::of(event);
    return numbers.reason == vmx::ExitReason::control_register_access
               ? exit_details(numbers)
               : exit.at("reason").get<std::string>();
}

}  // namespace

std::optional<std::vector<Json>> run_bench_driver(const fs::path& driver,
                                                  const std::string& service,
                                                  const fs::path& folder) {
    const fs::path named = folder / (service + ".sys");
    std::error_code error;
    fs::copy_file(driver, named, error);
    if (error) {
        fmt::print(stderr, "bench: {}: {}\n", named.string(), error.message());
        return std::nullopt;
    }
    const fs::path runs = folder / service;
    const auto captured = capture({.arguments = {"/proc/self/exe", "run", "--driver", named},
                                   .folder = {},
                                   .environment = {{"HVP_RUNS", runs.string()}}},
                                  true);
    if (!captured || captured->status != 0) {
        fmt::print(stderr, "bench: the driver {} does not pass\n{}", named.filename().string(),
                   captured ? captured->output : "");
        return std::nullopt;
    }
    return events_in(runs / "latest" / "events.jsonl");
}

Costs exit_costs(const std::vector<Json>& events) {
    Costs costs;
    const Json* exit = nullptr;
    for (const Json& event : events) {
        if (event.value("from", "") != "processor") {
            continue;
        }
        const std::string name = event.value("event", "");
        if (name == "VmEntry" && exit != nullptr) {
            costs[kind_of(*exit)].sorted.push_back(event.at("t").get<std::uint64_t>() -
                                                   exit->at("t").get<std::uint64_t>());
        }
        if (name == "VmEntry" || name == "VmExit") {
            exit = name == "VmExit" ? &event : nullptr;
        }
    }
    sort(costs);
    return costs;
}

void sort(Costs& costs) {
    for (auto& [kind, cost] : costs) {
        std::ranges::sort(cost.sorted);
    }
}

Json as_json(const std::string& name, const char* unit, const Cost& cost) {
    return {{"case", name},      {"unit", unit},
            {"min", cost.min()}, {"median", cost.median()},
            {"max", cost.max()}, {"n", cost.sorted.size()}};
}

std::string cost_text(const Cost& cost) {
    return cost.min() == cost.max()
               ? grouped(cost.max())
               : fmt::format("{} to {}", grouped(cost.min()), grouped(cost.max()));
}

std::string bench_machine() {
    return fmt::format("{}, {}, 1 processor", lab::known_emulator, lab::default_model);
}

}  // namespace hvp::tool
