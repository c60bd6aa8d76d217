// Every sentence that ends a run: none is left that no run can have.
#include "tool/run/verdict_sentences.hpp"

#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "tests/repository/sources.hpp"
#include "tool/base/options.hpp"

namespace hvp::tool {
namespace {

TEST(VerdictSentences, EachIsThereOnce) {
    std::set<VerdictId> ids;
    for (const VerdictSentence& sentence : verdict_sentences) {
        EXPECT_TRUE(ids.insert(sentence.id).second) << sentence.words;
    }
    EXPECT_EQ(ids.size(), static_cast<std::size_t>(VerdictId::passed) + 1);
}

// None is written where it is used, and so none can be left out of the table.
TEST(VerdictSentences, AreMadeFromTheTableOnly) {
    std::set<std::string> used;
    for (const char* file : {"tool/run/verdict.cpp", "tool/run/run.cpp"}) {
        const std::string text = repository::read_file(file);
        EXPECT_FALSE(text.contains("{Result::")) << file;
        static const std::regex use{R"(VerdictId::([a-z_]+))"};
        for (std::sregex_iterator it{text.begin(), text.end(), use}, end; it != end; ++it) {
            used.insert((*it)[1]);
        }
    }
    EXPECT_EQ(used.size(), verdict_sentences.size()) << "one is never used";
}

// [README "More commands"]: the exit statuses in the words of the table.
TEST(ExitStatuses, AreThoseOfTheReadme) {
    static const std::regex blanks{R"(\s+)"};
    const std::string readme = std::regex_replace(repository::read_file("README.md"), blanks, " ");
    for (const ExitStatusWords& status : exit_statuses) {
        const std::string words =
            fmt::format("{} {}", static_cast<int>(status.status), status.words);
        EXPECT_TRUE(readme.contains(words)) << words;
    }
}

}  // namespace
}  // namespace hvp::tool
