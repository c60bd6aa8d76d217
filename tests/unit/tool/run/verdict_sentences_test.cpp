// Every sentence that ends a run: none is left that no run can have.
#include "tool/run/verdict_sentences.hpp"

#include <gtest/gtest.h>

#include <set>

namespace hvp::tool {
namespace {

TEST(VerdictSentences, EachIsThereOnce) {
    std::set<VerdictId> ids;
    for (const VerdictSentence& sentence : verdict_sentences) {
        EXPECT_TRUE(ids.insert(sentence.id).second) << sentence.words;
    }
    EXPECT_EQ(ids.size(), static_cast<std::size_t>(VerdictId::passed) + 1);
}

}  // namespace
}  // namespace hvp::tool
