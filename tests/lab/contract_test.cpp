// Every export of the lab's kernel keeps its promises, and each wrong use of it is reported. The
// tables are those of the drivers tests/drivers/contract_*.cpp; see contract.hpp there.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "lab/nt/hosted/mapped_image.hpp"
#include "lab/nt/ldr/pe_tables.hpp"
#include "tests/lab/places.hpp"
#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::IsEmpty;

std::vector<std::string> contract_drivers() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{drivers_folder()}) {
        const std::string name = entry.path().stem();
        if (entry.path().extension() == ".sys" && name.starts_with("contract_")) {
            names.push_back(name);
        }
    }
    std::ranges::sort(names);
    return names;
}

Answer load(Playground& playground, const std::string& driver, const std::string& suffix,
            unsigned processors = 1) {
    return playground({"run", "--driver", playground.driver(driver, driver + suffix), "--cpus",
                       std::to_string(processors)});
}

struct Machine {
    std::string driver;
    unsigned processors;
};

std::ostream& operator<<(std::ostream& stream, const Machine& machine) {
    return stream << machine.driver << " on " << machine.processors;
}

std::vector<Machine> all_machines() {
    std::vector<Machine> all;
    for (const auto& driver : contract_drivers()) {
        for (const unsigned processors : {1U, 2U, 4U, 8U}) {
            all.push_back({driver, processors});
        }
    }
    return all;
}

class Promises : public testing::TestWithParam<Machine> {};

TEST_P(Promises, AreKeptInDriverEntryAndInUnload) {
    Playground playground;
    const Answer answer = load(playground, GetParam().driver, "", GetParam().processors);
    EXPECT_EQ(answer.status, 0) << answer.errors;
    std::map<std::string, unsigned> kept;
    for (const Json& promise : playground.events("Promise")) {
        EXPECT_EQ(promise["kept"], 1) << promise;
        ++kept[promise["when"]];
    }
    EXPECT_GT(kept["entry"], 0U);
    EXPECT_EQ(kept["entry"], kept["unload"]);
}

INSTANTIATE_TEST_SUITE_P(Every, Promises, testing::ValuesIn(all_machines()),
                         [](const auto& instance) {
                             return fmt::format("{}_on_{}", instance.param.driver,
                                                instance.param.processors);
                         });

class Mistakes : public testing::TestWithParam<std::string> {};

/// The rules that the lab found broken after each mistake, and the mistake's own line.
std::vector<std::pair<Json, std::vector<std::string>>> mistakes_and_findings(
    const Playground& playground) {
    std::vector<std::pair<Json, std::vector<std::string>>> all;
    std::vector<std::string> at_the_end;
    for (const Json& event : playground.all_events()) {
        const std::string name = event["event"];
        if (name == "Mistake") {
            all.emplace_back(event, std::vector<std::string>{});
        } else if (name == "Finding" || name == "Leak") {
            const std::string rule = name == "Leak" ? "Leak" : event["rule"];
            // A finding that comes only at the end belongs to the first mistake that has none yet.
            const auto waits = std::ranges::find_if(all, [&](const auto& entry) {
                return entry.first["rule"] == rule && entry.second.empty();
            });
            (waits != all.end() ? *waits : all.back()).second.push_back(rule);
        }
    }
    return all;
}

TEST_P(Mistakes, AreReportedEachByItsRule) {
    Playground playground;
    static_cast<void>(load(playground, GetParam(), "-wrong"));
    for (const auto& [mistake, rules] : mistakes_and_findings(playground)) {
        EXPECT_THAT(rules, testing::ElementsAre(mistake["rule"])) << mistake;
    }
    EXPECT_EQ(playground.summary()["state_differences"], Json::array());
    EXPECT_NE(playground.summary()["result"], "bugcheck") << playground.summary();
}

TEST_P(Mistakes, OrEndInTheirBugCheck) {
    Playground list;
    static_cast<void>(load(list, GetParam(), ""));
    for (const Json& crash : list.events("Crash")) {
        Playground playground;
        static_cast<void>(load(playground, GetParam(), crash["service"]));
        const auto bug_checks = playground.events("BugCheck");
        ASSERT_EQ(bug_checks.size(), 1U) << crash;
        EXPECT_EQ(bug_checks[0]["code"], fmt::format("{:#x}", crash["bug_check"].get<unsigned>()))
            << crash;
    }
}

INSTANTIATE_TEST_SUITE_P(Every, Mistakes, testing::ValuesIn(contract_drivers()),
                         [](const auto& instance) { return instance.param; });

std::set<std::string> kernel_exports() {
    const std::string file = content(kernel_file());
    const auto bytes = std::as_bytes(std::span{file});
    const auto headers = lab::pe::parse(bytes);
    const auto image = lab::pe::layout(bytes);
    std::set<std::string> names;
    if (headers && image) {
        for (std::uint32_t i = 0; const auto name = lab::pe::export_name(*headers, image->bytes, i);
             ++i) {
            names.emplace(*name);
        }
    }
    return names;
}

void print(const std::string& what, std::size_t count) {
    fmt::print("{:>5} {}\n", count, what);
    testing::Test::RecordProperty(what, std::to_string(count));
}

TEST(Contracts, CoverEveryExport) {
    std::map<std::string, unsigned> works;
    std::map<std::string, unsigned> wrong;
    std::map<std::string, unsigned> harmless;
    std::size_t promises = 0;
    std::size_t mistakes = 0;
    std::size_t crashes = 0;
    for (const auto& driver : contract_drivers()) {
        Playground right;
        static_cast<void>(load(right, driver, ""));
        for (const Json& promise : right.events("Promise")) {
            ++works[promise["export"]];
            promises += promise["when"] == "entry" ? 1U : 0U;
        }
        for (const Json& crash : right.events("Crash")) {
            ++wrong[crash["export"]];
            ++crashes;
        }
        for (const Json& one : right.events("Harmless")) {
            ++harmless[one["export"]];
        }
        Playground false_use;
        static_cast<void>(load(false_use, driver, "-wrong"));
        for (const Json& mistake : false_use.events("Mistake")) {
            ++wrong[mistake["export"]];
            ++mistakes;
        }
    }
    const auto names = kernel_exports();
    EXPECT_GT(names.size(), 50U);
    std::vector<std::string> untried;
    std::vector<std::string> never_misused;
    for (const auto& name : names) {
        if (!works.contains(name)) {
            untried.push_back(name);
        }
        if (!wrong.contains(name) && !harmless.contains(name)) {
            never_misused.push_back(name);
        }
    }
    EXPECT_THAT(untried, IsEmpty());
    EXPECT_THAT(never_misused, IsEmpty());
    print("exports", names.size());
    print("promises kept", promises);
    print("mistakes reported by a finding", mistakes);
    print("mistakes reported by a bug check", crashes);
    print("exports without a wrong use that can be seen", harmless.size());
}

}  // namespace
}  // namespace hvp::tests
