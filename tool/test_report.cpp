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

}  // namespace

TestCounts read_test_report(std::string_view report) {
    const std::size_t start = std::min(report.find("<testsuite"), report.size());
    const std::string_view element = report.substr(start, report.substr(start).find('>'));
    const unsigned all = attribute(element, "tests");
    const unsigned failed = attribute(element, "failures") + attribute(element, "skipped");
    const unsigned disabled = attribute(element, "disabled");
    return {.passed = all - std::min(all, failed + disabled), .failed = failed};
}

}  // namespace hvp::tool
