// Dumps of many programs, as people posted them, each with its right answer: tests/cases/dumps has
// NAME.txt and NAME.expect. The answers come from the SDM.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "tests/repository/sources.hpp"
#include "tool/explain/dumps/vmcs_dump.hpp"
#include "tool/explain/explain.hpp"
#include "tool/explain/explanation.hpp"
#include "tool/explain/texts/sentences.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAreArray;
using testing::HasSubstr;

constexpr std::string_view folder = "tests/cases/dumps/";

// The lines `key: value` of a NAME.expect.
class Expectation {
public:
    explicit Expectation(const std::string& text) {
        std::istringstream lines{text};
        for (std::string line; std::getline(lines, line);) {
            const std::size_t colon = std::min(line.find(':'), line.size());
            const std::size_t value = std::min(colon + 2, line.size());
            all_.emplace_back(line.substr(0, colon), line.substr(value));
        }
    }
    [[nodiscard]] std::vector<std::string> of(std::string_view key) const {
        std::vector<std::string> values;
        for (const auto& [name, value] : all_) {
            if (name == key && !value.empty()) {
                values.push_back(value);
            }
        }
        return values;
    }
    [[nodiscard]] std::string one(std::string_view key) const {
        const auto values = of(key);
        return values.empty() ? "" : values.front();
    }
    [[nodiscard]] bool has(std::string_view key) const {
        return std::ranges::any_of(all_, [&](const auto& line) { return line.first == key; });
    }

private:
    std::vector<std::pair<std::string, std::string>> all_;
};

std::string text_of(const std::string& name, std::string_view ending) {
    return repository::read_file(std::string{folder} + name + std::string{ending});
}

std::vector<std::string> all_names() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator{repository::repository_root() / folder}) {
        if (entry.path().extension() == ".expect") {
            names.push_back(entry.path().stem().string());
        }
    }
    std::ranges::sort(names);
    return names;
}

// Paragraphs as one line each, so that where they are broken does not matter.
std::string joined_lines(std::string text) {
    std::ranges::replace(text, '\n', ' ');
    return text;
}

const ModelProcessor& skylake() {
    static const ModelProcessor model = *ModelProcessor::of("corei7_skylake_x");
    return model;
}

class Cases : public testing::TestWithParam<std::string> {
protected:
    const std::string dump = text_of(GetParam(), ".txt");
    const Expectation expected{text_of(GetParam(), ".expect")};
    const VmcsImage image = read_dump(dump);
    const Judged judged{image, skylake()};
    const Explanation explanation = explain_image(judged);
    const std::string written = write_dump(image);
};

TEST_P(Cases, HaveTheirStatusHeadlineAndSentences) {
    const DumpReport report = explain_dump(dump, {}, skylake(), 100);
    EXPECT_EQ(std::to_string(static_cast<int>(report.status)), expected.one("status"));
    EXPECT_EQ(headline(judged, explanation), expected.one("headline"));
    const std::string text = joined_lines(report.output);
    EXPECT_THAT(text, HasSubstr(headline(judged, explanation)));
    for (const std::string& sentence : expected.of("says")) {
        EXPECT_THAT(text, HasSubstr(sentence));
    }
    constexpr auto one_screen = 62;  // six rules in full
    EXPECT_LE(std::ranges::count(report.output, '\n'), one_screen) << report.output;
}

TEST_P(Cases, BreakTheirRulesAndNoOthers) {
    std::vector<std::string> broken;
    for (const BrokenRule& one : explanation.broken) {
        broken.push_back(rule_id(*one.rule));
    }
    EXPECT_THAT(broken, ElementsAreArray(expected.of("broken")));
    std::vector<std::string> aside;
    for (const RuleAside& one : explanation.aside) {
        aside.push_back(rule_id(*one.rule) + " " + std::string{why_aside_name(one.why)});
    }
    EXPECT_THAT(aside, ElementsAreArray(expected.of("aside")));
}

TEST_P(Cases, AreReadAsTheyAreWritten) {
    for (const std::string& value : expected.of("value")) {
        EXPECT_THAT("\n" + written, HasSubstr("\n" + value + "\n"));
    }
    for (const std::string& name : expected.of("absent")) {
        EXPECT_THAT("\n" + written, testing::Not(HasSubstr("\n" + name + " = ")));
    }
    if (expected.has("unknown")) {
        std::vector<std::string> unknown;
        for (const UnknownLine& line : image.unknown) {
            unknown.push_back(line.name);
        }
        EXPECT_THAT(unknown, ElementsAreArray(expected.of("unknown")));
    }
    if (expected.has("same values as")) {
        EXPECT_EQ(image, read_dump(text_of(expected.one("same values as"), ".txt")));
    }
}

// What the text says, `--json` says, too.
TEST_P(Cases, SayTheSameInJson) {
    ExplainOptions options;
    options.json = true;
    const DumpReport report = explain_dump(dump, options, skylake(), 100);
    const Json json = Json::parse(report.output);
    EXPECT_EQ(json.at("headline"), headline(judged, explanation));
    EXPECT_EQ(json.at("vm_entry").at("words"), what_the_processor_said(judged));
    EXPECT_EQ(json.at("broken").size(), explanation.broken.size());
    EXPECT_EQ(json.at("put_aside").size(), explanation.aside.size());
    EXPECT_EQ(json.at("unknown").size(), image.unknown.size());
    EXPECT_EQ(json.at("notes").size(), image.notes.size());
    EXPECT_EQ(json.at("rules").at("checked"), explanation.checked());
    EXPECT_EQ(json.at("model").at("name"), "corei7_skylake_x");
}

INSTANTIATE_TEST_SUITE_P(Dumps, Cases, testing::ValuesIn(all_names()),
                         [](const testing::TestParamInfo<std::string>& name) {
                             std::string letters = name.param;
                             std::ranges::replace_if(
                                 letters, [](unsigned char c) { return std::isalnum(c) == 0; },
                                 '_');
                             return "Of_" + letters;
                         });

TEST(CaseFiles, AreTwoEach) {
    const auto count = [](std::string_view ending) {
        return std::ranges::count_if(
            fs::directory_iterator{repository::repository_root() / folder},
            [&](const fs::directory_entry& entry) { return entry.path().extension() == ending; });
    };
    EXPECT_EQ(count(".txt"), count(".expect"));
    EXPECT_GE(count(".txt"), 22 + 15);
}

}  // namespace
}  // namespace hvp::tool
