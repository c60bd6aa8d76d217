#include "tool/mutations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <regex>
#include <set>
#include <thread>

#include "tool/mutation_copy.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

struct Mutation {
    fs::path patch;
    std::vector<std::string> tests;
    std::vector<std::string> targets;  ///< what is built again, with the patch
    std::vector<std::string> needs;    ///< what the tests need built besides, without it
    std::vector<fs::path> files;       ///< that the patch changes
};

// Header lines `Test: NAME`, `Build: TARGET` and `Needs: TARGET`, then a patch as `diff -u a/… b/…`
// makes it.
Mutation read_mutation(const fs::path& path) {
    Mutation mutation{.patch = path, .tests = {}, .targets = {}, .needs = {}, .files = {}};
    std::ifstream file{path};
    constexpr std::string_view test_mark = "Test: ";
    constexpr std::string_view target_mark = "Build: ";
    constexpr std::string_view needs_mark = "Needs: ";
    constexpr std::string_view file_mark = "+++ b/";
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(test_mark)) {
            mutation.tests.push_back(line.substr(test_mark.size()));
        } else if (line.starts_with(target_mark)) {
            mutation.targets.push_back(line.substr(target_mark.size()));
        } else if (line.starts_with(needs_mark)) {
            mutation.needs.push_back(line.substr(needs_mark.size()));
        } else if (line.starts_with(file_mark)) {
            const std::string name = line.substr(file_mark.size());
            mutation.files.emplace_back(name.substr(0, name.find('\t')));
        }
    }
    return mutation;
}

std::vector<Mutation> read_mutations(const std::vector<std::string>& filters,
                                     const Repository& repository) {
    std::vector<Mutation> mutations;
    std::error_code ignored;
    for (const auto& entry :
         fs::directory_iterator{repository.root / "tests" / "mutations", ignored}) {
        const std::string name = entry.path().filename().string();
        const bool wanted = filters.empty() || std::ranges::any_of(filters, [&](const auto& word) {
                                return name.contains(word);
                            });
        if (entry.path().extension() == ".patch" && wanted) {
            mutations.push_back(read_mutation(entry.path()));
        }
    }
    std::ranges::sort(mutations, {}, &Mutation::patch);
    return mutations;
}

// Empty when each named test turned red; else what went wrong.
std::string judge(const MutationCopy& copy, const Mutation& mutation) {
    if (mutation.tests.empty() || mutation.targets.empty()) {
        return "names no test, or no target to build";
    }
    if (std::string error = copy.apply(mutation.patch); !error.empty()) {
        return error;
    }
    if (std::string error = copy.build(mutation.targets, mutation.files); !error.empty()) {
        return error;
    }
    for (const std::string& test : mutation.tests) {
        if (copy.tests_pass(test)) {
            return fmt::format("nobody noticed: {} still passes", test);
        }
    }
    return {};
}

// Brings the copy to the state of the original, with all built that the mutations need.
std::string prepare(const MutationCopy& copy, const std::vector<Mutation>& mutations) {
    std::set<std::string> targets;
    for (const Mutation& mutation : mutations) {
        targets.insert(mutation.targets.begin(), mutation.targets.end());
        targets.insert(mutation.needs.begin(), mutation.needs.end());
    }
    std::string error = copy.refresh();
    if (error.empty()) {
        error = copy.build({targets.begin(), targets.end()}, {});
    }
    if (error.empty()) {
        copy.keep();
    }
    return error;
}

// A test that fails without any mutation would prove nothing.
std::string check_without_mutation(const MutationCopy& copy,
                                   const std::vector<Mutation>& mutations) {
    std::set<std::string> tests;
    for (const Mutation& mutation : mutations) {
        tests.insert(mutation.tests.begin(), mutation.tests.end());
    }
    const std::string list = copy.list_of_tests();
    for (const std::string& test : tests) {
        if (!std::regex_search(list, std::regex{test})) {
            return fmt::format("has no test {}", test);
        }
    }
    if (copy.tests_pass(fmt::format("{}", fmt::join(tests, "|")))) {
        return {};
    }
    const auto failed = std::ranges::find_if_not(
        tests, [&](const std::string& test) { return copy.tests_pass(test); });
    return fmt::format("{} fails without any mutation", failed == tests.end() ? "a test" : *failed);
}

// Judges all, each copy the next one that nobody has begun yet, and tells the verdicts as they
// come.
TestCounts judge_all(const std::array<MutationCopy, 2>& copies,
                     const std::vector<Mutation>& mutations) {
    std::atomic<std::size_t> next{0};
    std::mutex telling;
    TestCounts counts;
    const auto work = [&](const MutationCopy& copy) {
        for (std::size_t i = next++; i < mutations.size(); i = next++) {
            const std::string complaint = judge(copy, mutations[i]);
            copy.restore();
            const std::lock_guard lock{telling};
            fmt::print("{}  {}{}\n", complaint.empty() ? "noticed " : "MISSED  ",
                       mutations[i].patch.filename().string(),
                       complaint.empty() ? "" : ": " + complaint);
            std::fflush(stdout);
            ++(complaint.empty() ? counts.passed : counts.failed);
        }
    };
    {
        const std::jthread other{[&] { work(copies[1]); }};
        work(copies[0]);
    }
    return counts;
}

}  // namespace

TestCounts run_mutations(const std::vector<std::string>& filters, const Repository& repository) {
    const std::vector<Mutation> mutations = read_mutations(filters, repository);
    if (mutations.empty()) {
        return {};
    }
    fmt::print("mutations: {}; building a copy of the tree\n", mutations.size());
    std::fflush(stdout);
    // Two at once: while one links or runs a single test, the other uses the second processor.
    const std::array copies{MutationCopy{repository, "1"}, MutationCopy{repository, "2"}};
    std::string error;
    std::string other_error;
    {
        const std::jthread other{[&] { other_error = prepare(copies[1], mutations); }};
        error = prepare(copies[0], mutations);
        if (error.empty()) {
            error = check_without_mutation(copies[0], mutations);
        }
    }
    if (error.empty()) {
        error = other_error;
    }
    if (!error.empty()) {
        fmt::print("mutations: the copy {}\n", error);
        return {.passed = 0, .failed = static_cast<unsigned>(mutations.size())};
    }
    return judge_all(copies, mutations);
}

}  // namespace hvp::tool
