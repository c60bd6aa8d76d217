#include "tool/story/story_match.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hvp::tool {
namespace {

TEST(StoryMatch, PlaceholdersStandForWhatVaries) {
    EXPECT_TRUE(matches("revision {hex}, {number} bytes", "revision 0x2b, 4096 bytes"));
    EXPECT_TRUE(matches("VMLAUNCH: VM entry  instruction {number}",
                        "VMLAUNCH: VM entry      instruction 1 204 113"));
    EXPECT_TRUE(matches("{text} leaked", "0 bytes leaked"));
    EXPECT_FALSE(matches("{number} bytes leaked", "no bytes leaked"));
    EXPECT_FALSE(matches("{hex}", "0x"));
    EXPECT_FALSE(matches("VMXOFF", "VMXOFF, state given back"));
}

using Told = std::vector<std::string>;

constexpr std::string_view expected =
    "launch · a head that varies\n"
    "   0  driver     begins\n"
    "\n"
    "driver     does {number} things\n"
    "   2  lab        ends\n"
    "passed in 0.4 s\n";

// The printed story has the section's number in the newer edition, too.
TEST(StoryMatch, BothNumbersOfASectionAreOne) {
    EXPECT_TRUE(matches("driver VMCS SDM 3C 24.2", "driver VMCS SDM 3C 24.2 (2022: 25.2)"));
    EXPECT_FALSE(matches("driver VMCS SDM 3C 24.3", "driver VMCS SDM 3C 24.2 (2022: 25.2)"));
}

TEST(StoryMatch, AGoodStoryHasNoDifference) {
    EXPECT_EQ(
        story_difference(expected, Told{"driver begins ", "driver does 3 things", "lab ends"}, 1),
        "");
}

// Where the driver starts is an option of the run.
TEST(StoryMatch, AStartOnAnotherProcessorIsNoDifference) {
    constexpr std::string_view story =
        "   0  driver     DriverEntry on processor 0 at PASSIVE_LEVEL\n"
        "   1  lab        processor 0 ends\n";
    EXPECT_EQ(
        story_difference(
            story,
            Told{"driver DriverEntry on processor 2 at PASSIVE_LEVEL", "lab processor 0 ends"}, 1),
        "");
    EXPECT_NE(
        story_difference(
            story,
            Told{"driver DriverEntry on processor 0 at DISPATCH_LEVEL", "lab processor 0 ends"}, 1),
        "");
    EXPECT_NE(
        story_difference(
            story,
            Told{"driver DriverEntry on processor 0 at PASSIVE_LEVEL", "lab processor 2 ends"}, 1),
        "");
}

// How many pages a guest needs depends on where its processor's tables are.
TEST(StoryMatch, ALineMayStandForSeveral) {
    constexpr std::string_view story = "driver needs page {hex} {repeated}\nlab ends\n";
    EXPECT_EQ(story_difference(story, Told{"driver needs page 0x1", "lab ends"}, 1), "");
    EXPECT_EQ(story_difference(
                  story, Told{"driver needs page 0x1", "driver needs page 0x2", "lab ends"}, 1),
              "");
    EXPECT_EQ(story_difference(story, Told{"lab ends"}, 1),
              "step 0 should be \"driver needs page {hex} {repeated}\", but is \"lab ends\"");
    EXPECT_EQ(story_difference(story, Told{"driver needs page 0x1", "driver x", "lab ends"}, 1),
              "step 1 should be \"lab ends\", but is \"driver x\"");
    EXPECT_EQ(story_difference(story, Told{"driver needs page 0x1", "driver needs page 0x2"}, 1),
              "step 2 is missing: \"lab ends\"");
}

TEST(StoryMatch, NamesTheFirstLineThatDiffers) {
    EXPECT_EQ(
        story_difference(expected, Told{"driver begins", "driver does no  things", "lab ends"}, 1),
        "step 1 should be \"driver does {number} things\", but is \"driver does no things\"");
    EXPECT_EQ(story_difference(expected, Told{"driver begins"}, 1),
              "step 1 is missing: \"driver does {number} things\"");
    EXPECT_EQ(story_difference(
                  expected, Told{"driver begins", "driver does 1 things", "lab ends", "lab x"}, 1),
              "step 3 is too much: \"lab x\"");
    EXPECT_NE(story_difference("", Told{"lab ends"}, 1), "");
}

TEST(StoryMatch, EachLoadTellsTheStoryAgain) {
    EXPECT_EQ(story_difference(expected,
                               Told{"driver begins", "driver does 1 things", "driver begins",
                                    "driver does 2 things", "lab ends"},
                               2),
              "");
}

}  // namespace
}  // namespace hvp::tool
