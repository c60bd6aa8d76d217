#include "tool/test_report.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace hvp::tool {
namespace {

// The number in `name="12"`, which stands on a line of its own or behind a space.
unsigned attribute(std::string_view element, std::string_view name) {
    const std::string mark = std::string{name} + "=\"";
    for (std::size_t at = element.find(mark); at != std::string_view::npos;
         at = element.find(mark, at + 1)) {
        if (at > 0 && std::string_view{" \t\r\n"}.contains(element[at - 1])) {
            unsigned value = 0;
            const char* digits = element.data() + at + mark.size();
            std::from_chars(digits, element.data() + element.size(), value);
            return value;
        }
    }
    return 0;
}

// The number behind `[  PASSED  ] ` and its like, when `test` or `tests` follows; else it is the
// name of a single test.
unsigned tests_behind(std::string_view output, std::string_view mark) {
    for (std::size_t at = output.find(mark); at != std::string_view::npos;
         at = output.find(mark, at + 1)) {
        const std::string_view rest = output.substr(at + mark.size());
        unsigned value = 0;
        const auto read = std::from_chars(rest.data(), rest.data() + rest.size(), value);
        if (read.ec == std::errc{} && std::string_view{read.ptr, rest.end()}.starts_with(" test")) {
            return value;
        }
    }
    return 0;
}

// What a test of ctest's, one so far, has said about the tests in it.
void count_tests_inside(std::string_view output, TestCounts& counts) {
    const unsigned passed = tests_behind(output, "[  PASSED  ] ");
    const unsigned failed = tests_behind(output, "[  FAILED  ] ");
    const unsigned skipped = tests_behind(output, "[  SKIPPED ] ");
    if (passed + failed + skipped > 0) {
        counts.passed += passed;
        counts.failed += failed + skipped;
        --(failed > 0 ? counts.failed : counts.passed);
    }
}

}  // namespace

TestCounts read_test_report(std::string_view report) {
    const std::size_t start = std::min(report.find("<testsuite"), report.size());
    const std::string_view element = report.substr(start, report.substr(start).find('>'));
    const unsigned all = attribute(element, "tests");
    const unsigned failed = attribute(element, "failures") + attribute(element, "skipped");
    const unsigned disabled = attribute(element, "disabled");
    TestCounts counts{.passed = all - std::min(all, failed + disabled), .failed = failed};
    constexpr std::string_view mark = "<testcase ";
    for (std::size_t at = report.find(mark); at != std::string_view::npos;) {
        const std::size_t next = report.find(mark, at + 1);
        count_tests_inside(report.substr(at, next - at), counts);
        at = next;
    }
    return counts;
}

}  // namespace hvp::tool
