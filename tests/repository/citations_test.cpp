// Every citation of Intel's manual names a section that exists, by number and by title.
//
// A number alone rots: sections move between editions, titles stay. sdm_sections.tsv lists volume,
// number and title of the edition that we cite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <map>
#include <regex>
#include <sstream>

#include "tests/repository/sources.hpp"

namespace hvp::repository {
namespace {

/// Upper case, and white space folded to one space.
std::string normalised(const std::string& title) {
    static const std::regex spaces{R"(\s+)"};
    std::string result = std::regex_replace(title, spaces, " ");
    for (char& letter : result) {
        letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
    }
    return result;
}

using Sections = std::map<std::string, std::string>;  // "3C 24.2" -> normalised title

Sections known_sections() {
    Sections sections;
    std::istringstream lines{read_file("tests/repository/sdm_sections.tsv")};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields{line};
        std::string volume;
        std::string number;
        std::string title;
        std::getline(fields, volume, '\t');
        std::getline(fields, number, '\t');
        std::getline(fields, title);
        if (!volume.starts_with('#')) {
            sections[volume + " " + number] = normalised(title);
        }
    }
    return sections;
}

/// Citations that are wrong, as "section: what is wrong". `found` counts the good ones.
std::vector<std::string> wrong_citations(const std::string& text, const Sections& sections,
                                         std::size_t& found) {
    // [SDM 3C 24.2 "Title"…] in comments and texts, on one line, so that a search finds it;
    // {"3C", "24.2", "Title"} in code.
    static const std::regex citation{
        R"re(\[SDM (3[ACD]) ([0-9A-C][0-9.]*) "([^"\n]*)"|\{"(3[ACD])",\s*"([0-9A-C][0-9.]*)",\s*"([^"]*)"\})re"};
    static const std::regex opened{R"(\[SDM\s)"};
    std::vector<std::string> wrong;
    std::size_t bracketed = 0;
    for (std::sregex_iterator it{text.begin(), text.end(), citation}, end; it != end; ++it) {
        const bool in_code = (*it)[4].matched;
        bracketed += in_code ? 0 : 1;
        const std::string where = (*it)[in_code ? 4 : 1].str() + " " + (*it)[in_code ? 5 : 2].str();
        const std::string title = normalised((*it)[in_code ? 6 : 3].str());
        const auto section = sections.find(where);
        if (section == sections.end()) {
            wrong.push_back(where + ": no such section");
        } else if (section->second != title) {
            wrong.push_back(where + ": is called " + section->second + ", not " + title);
        } else {
            ++found;
        }
    }
    const auto all = static_cast<std::size_t>(
        std::distance(std::sregex_iterator{text.begin(), text.end(), opened}, {}));
    if (all != bracketed) {
        wrong.push_back("a citation that is not [SDM volume number \"title\"] on one line");
    }
    return wrong;
}

TEST(Citations, NameSectionsThatExist) {
    const Sections sections = known_sections();
    ASSERT_GT(sections.size(), 2000U);
    std::size_t found = 0;
    for (const SourceFile& file :
         files_below({"hypervisor", "platform", "stages", "lab", "tool", "bench", "docs",
                      "tests/unit", "tests/drivers", "tests/lab"},
                     {".hpp", ".cpp", ".h", ".S", ".asm", ".md", ".txt"})) {
        EXPECT_THAT(wrong_citations(file.text, sections, found), testing::IsEmpty()) << file.path;
    }
    EXPECT_GT(found, 50U);
}

TEST(Citations, AreCheckedForNumberTitleAndForm) {
    const Sections sections = known_sections();
    std::size_t found = 0;
    const auto check = [&](const std::string& text) {
        return wrong_citations(text, sections, found);
    };
    EXPECT_THAT(check("[SDM 3C 24.2 \"Format of the VMCS Region\"]"), testing::IsEmpty());
    EXPECT_THAT(check("{\"3C\", \"24.11.5\", \"VMXON Region\"}"), testing::IsEmpty());
    EXPECT_EQ(found, 2U);
    EXPECT_THAT(check("/// [SDM 3C 24.2 \"Format of\n    /// the VMCS Region\", Table 1]"),
                testing::SizeIs(1));
    EXPECT_THAT(check("/// [SDM\n/// 3C 24.2 \"Format of the VMCS Region\"]"), testing::SizeIs(1));
    EXPECT_THAT(check("[SDM 3C 24.99 \"Format of the VMCS Region\"]"), testing::SizeIs(1));
    EXPECT_THAT(check("[SDM 3C 24.2 \"VMXON Region\"]"), testing::SizeIs(1));
    EXPECT_THAT(check("[SDM 24.2]"), testing::SizeIs(1));
}

}  // namespace
}  // namespace hvp::repository
