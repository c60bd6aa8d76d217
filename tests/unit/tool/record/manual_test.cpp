// Intel's manual for readers: both numbers of a section.
#include "tool/record/words/manual.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/repository/sources.hpp"

namespace hvp::tool {
namespace {

using testing::HasSubstr;

// In the December 2022 edition "Enabling and Entering VMX Operation" is 24.7, and 23.7 in ours.
TEST(Manual, HasTheNumbersOfBothEditions) {
    EXPECT_EQ(newer_section("3C", "23.7"), "24.7");
    EXPECT_EQ(newer_section("3C", "26.3.1.2"), "27.3.1.2");
    EXPECT_EQ(newer_section("3C", "30.4"), "31.4");
    EXPECT_EQ(newer_section("3C", "34.15.4"), "");  // beyond the chapters that have moved
    EXPECT_EQ(newer_section("3D", "B.3.3"), "");
    EXPECT_EQ(newer_section("3A", "23.7"), "");
    EXPECT_EQ(citation_for_readers({"3C", "26.1", "Basic VM-Entry Checks"}),
              R"([SDM 3C 26.1 "Basic VM-Entry Checks"; 2022: 27.1])");
    EXPECT_EQ(citation_for_readers({"3A", "2.5", "Control Registers"}),
              R"([SDM 3A 2.5 "Control Registers"])");
}

TEST(Manual, AddsTheNewerNumberToASectionThatADriverNames) {
    EXPECT_EQ(with_newer_section("SDM 3C 24.2"), "SDM 3C 24.2 (2022: 25.2)");
    EXPECT_EQ(with_newer_section("SDM 3C 26.1 Basic VM-Entry Checks"),
              "SDM 3C 26.1 (2022: 27.1) Basic VM-Entry Checks");
    for (const char* const same : {"SDM 3C 31.7 Handling of VM Exits", "SDM 3A 11.11.9", "",
                                   "SDM 3C", "SDM 3C x", "instruction 458 753"}) {
        EXPECT_EQ(with_newer_section(same), same);
    }
}

TEST(Manual, NamesItsEditionsAlsoInTheReadme) {
    const std::string readme = repository::read_file("README.md");
    for (const char* const edition : {"326019-060", "253668-072", "332831-072", "September 2016",
                                      "May 2020", "December 2022"}) {
        EXPECT_THAT(manual_editions(), HasSubstr(edition));
        EXPECT_THAT(readme, HasSubstr(edition));
    }
    EXPECT_THAT(manual_editions(), HasSubstr(manual_address));
    EXPECT_THAT(readme, HasSubstr(manual_address));
}

}  // namespace
}  // namespace hvp::tool
