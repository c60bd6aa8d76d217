#include "tool/test.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <thread>

#include "tool/base/subprocess.hpp"
#include "tool/mutations.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

// The names of the tests are regular expressions for ctest; ours are plain words.
std::string quoted(std::string_view word) {
    std::string result;
    for (const char c : word) {
        if (std::string_view{".[]{}()*+?^$|\\"}.contains(c)) {
            result += '\\';
        }
        result += c;
    }
    return result;
}

// What tests/coverage has found, if it was among the tests: a line for each part of the sources.
void show_coverage(const fs::path& summary) {
    std::ifstream file{summary};
    for (std::string line; std::getline(file, line);) {
        if (line.contains(" lines  in ")) {
            fmt::print("coverage: {}\n", line);
        }
    }
}

TestCounts run_tests(const TestOptions& options, const Repository& repository) {
    const fs::path report = repository.build / "tests.xml";
    const fs::path coverage = repository.build / "coverage" / "summary.txt";
    std::error_code ignored;
    fs::remove(report, ignored);
    fs::remove(coverage, ignored);
    // One more than there are processors: tests also wait, for emulators that are silent or
    // stopped.
    const std::string jobs = fmt::format("-j{}", std::thread::hardware_concurrency() + 1);
    Command ctest{
        .arguments = {"ctest", "--test-dir", repository.build.string(), jobs, "--output-on-failure",
                      "--progress", "--no-tests=error", "--output-junit", report.string(),
                      // The report keeps the end of what a test said: there the tests of a program
                      // are counted.
                      "--test-output-truncation", "head"},
        .folder = {}};
    if (options.quick) {
        ctest.environment.emplace_back("HVP_FUZZ_SECONDS", "5");
    }
    if (options.filters.empty()) {
        // Their whole programs are run (cmake/hosted.cmake).
        ctest.arguments.insert(ctest.arguments.end(), {"-LE", "^single$"});
    } else {
        std::vector<std::string> words;
        std::ranges::transform(options.filters, std::back_inserter(words), quoted);
        ctest.arguments.insert(ctest.arguments.end(),
                               {"-R", fmt::format("{}", fmt::join(words, "|"))});
    }
    const auto status = show(ctest);
    show_coverage(coverage);
    std::ifstream file{report};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    TestCounts counts = read_test_report(text);
    if ((!status || *status != 0) && counts.failed == 0) {
        counts.failed = 1;  // ctest itself is unhappy: for example, no test has such a name
    }
    return counts;
}

}  // namespace

ExitStatus test(const TestOptions& options, const Repository& repository) {
    TestCounts counts;
    if (!options.mutations_only) {
        counts = run_tests(options, repository);
    }
    if (options.all || options.mutations_only) {
        const TestCounts mutations = run_mutations(options.filters, repository);
        counts.passed += mutations.passed;
        counts.failed += mutations.failed;
    }
    fmt::print("{} passed, {} failed\n", counts.passed, counts.failed);
    return counts.failed == 0 ? ExitStatus::passed : ExitStatus::failed;
}

}  // namespace hvp::tool
