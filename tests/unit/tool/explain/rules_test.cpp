// The rules of VM entry in words, and the page that lists them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "tests/repository/sources.hpp"
#include "tool/explain/texts/rule_words.hpp"

namespace hvp::tool {
namespace {

using testing::HasSubstr;

std::vector<std::string> ids(std::string_view word) {
    std::vector<std::string> all;
    for (const EntryRule* rule : rules_matching(word)) {
        all.push_back(rule_id(*rule));
    }
    return all;
}

TEST(RuleWords, NameTheRegister) {
    const EntryRule& rule = *rules_matching("host-ds-rpl-ti").front();
    EXPECT_EQ(rule_sentence(rule), "RPL (bits 1:0) and TI (bit 2) of the host DS selector are 0.");
    EXPECT_EQ(rule_citation(rule),
              R"([SDM 3C 26.2.3 "Checks on Host Segment and Descriptor-Table Registers"; )"
              "2022: 27.2.3]");
    EXPECT_EQ(item_name_with_number(rule.items.items[0]), "Host DS selector (0C06H)");
}

TEST(RuleWords, AreFoundByWordSectionAndField) {
    EXPECT_THAT(ids("26.2.4"), testing::SizeIs(10));
    EXPECT_THAT(ids("26.2.1"), testing::SizeIs(77));  // with its three parts
    EXPECT_THAT(ids("busy TSS"), testing::Contains("guest-tr-type"));
    EXPECT_THAT(ids("guest gdtr limit"), testing::Contains("guest-gdtr-limit"));
    EXPECT_THAT(ids("no such thing"), testing::IsEmpty());
    EXPECT_THAT(ids(""), testing::SizeIs(vmx::checks::all_rules.size()));
}

TEST(RuleWords, LeaveNoPlaceholder) {
    for (const EntryRule& rule : vmx::checks::all_rules) {
        EXPECT_THAT(rule_id(rule) + rule_sentence(rule) + rule_remedy(rule),
                    testing::Not(HasSubstr("{}")));
        EXPECT_TRUE(rule_sentence(rule).ends_with('.')) << rule_id(rule);
        EXPECT_TRUE(rule_remedy(rule).ends_with('.') || rule_remedy(rule).ends_with(".)"))
            << rule_id(rule);
    }
}

TEST(RuleWords, BreakLinesBetweenWords) {
    EXPECT_EQ(wrapped("one two three", 2, 9), "  one two\n  three\n");
    EXPECT_EQ(wrapped("unbreakable", 0, 4), "unbreakable\n");
}

// Each section of the list at the top is on the page, and has as many rules as the list says.
TEST(RulesPage, ListsItsSections) {
    const std::string page = rules_page();
    const std::regex row{R"(\| \[[^\]]*\]\(#([0-9.]+)\) \| ([0-9]+) \|)"};
    std::size_t rules = 0;
    for (std::sregex_iterator it{page.begin(), page.end(), row}, end; it != end; ++it) {
        const std::size_t start = page.find("\n<a id=\"" + (*it)[1].str() + "\"></a>\n");
        ASSERT_NE(start, std::string::npos) << (*it)[1];
        const std::size_t next = std::min(page.find("\n<a id=", start + 1), page.size());
        const std::string section = page.substr(start, next - start);
        std::size_t count = 0;
        for (std::size_t at = section.find("\n### "); at != std::string::npos;
             at = section.find("\n### ", at + 1)) {
            ++count;
        }
        EXPECT_EQ(count, std::stoul((*it)[2])) << (*it)[1];
        rules += count;
    }
    EXPECT_EQ(rules, vmx::checks::all_rules.size());
}

// Where a text states how many rules there are, it is this number.
TEST(RulesPage, HasAsManyRulesAsTheTextsSay) {
    const std::regex stated{R"(\b([0-9]{3}) rules)"};
    int found = 0;
    for (const auto& file : repository::files_below({"docs", "stages"}, {".md"})) {
        EXPECT_EQ(file.text.find("two hundred rules"), std::string::npos) << file.path;
    }
    for (const char* const name : {"README.md", "CHANGELOG.md", "stages/launch/README.md"}) {
        const std::string text = repository::read_file(name);
        for (std::sregex_iterator it{text.begin(), text.end(), stated}, end; it != end; ++it) {
            EXPECT_EQ(std::stoul((*it)[1]), vmx::checks::all_rules.size()) << name;
            ++found;
        }
    }
    EXPECT_GE(found, 3);
}

TEST(RulesPage, NamesTheManualsEditionAndBothNumbers) {
    EXPECT_THAT(rules_page(), HasSubstr("326019-060"));
    EXPECT_THAT(rules_page(),
                HasSubstr("## 26.3.1.2 Checks on Guest Segment Registers (27.3.1.2 since"));
}

TEST(RulesPage, HasAnAnchorForEachRule) {
    const std::string page = rules_page();
    for (const EntryRule& rule : vmx::checks::all_rules) {
        EXPECT_THAT(page, HasSubstr("\n### " + rule_id(rule) + "\n"));
    }
}

}  // namespace
}  // namespace hvp::tool
