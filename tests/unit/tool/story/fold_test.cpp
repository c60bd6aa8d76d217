// Repeated steps of a story.
#include "tool/story/fold.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

StoryStep exit_at(const char* place, const char* cost) {
    return {"processor", std::string{"exit 12 HLT at "} + place, cost};
}

TEST(Fold, TheSameStepManyTimesIsToldOnce) {
    std::vector<StoryStep> steps{{"lab", "begins"}};
    for (int i = 0; i < 9'990; ++i) {
        steps.push_back(exit_at("main+0x10: on_hlt", i == 7 ? "+1 204 instr" : "+145 instr"));
    }
    steps.push_back(exit_at("main+0x20: on_hlt", "+145 instr"));
    const auto told = folded(steps);
    ASSERT_EQ(told.size(), 3U);
    EXPECT_EQ(told[1].text, "exit 12 HLT at main+0x10: on_hlt × 9 990");
    EXPECT_EQ(told[1].aside, "+145 to +1 204 instr");
    EXPECT_EQ(told[2].text, "exit 12 HLT at main+0x20: on_hlt");
}

TEST(Fold, StepsByTurnsAreToldOnceEach) {
    std::vector<StoryStep> steps;
    for (int i = 0; i < 50; ++i) {
        steps.push_back({"processor", "VM exit 10 CPUID, qualification 0", "instruction 7"});
        steps.push_back({"processor", "VMRESUME: VM entry", "instruction 9"});
    }
    const auto told = folded(steps);
    ASSERT_EQ(told.size(), 2U);
    EXPECT_EQ(told[0].text, "VM exit 10 CPUID, qualification 0 × 50");
    EXPECT_EQ(told[1].text, "VMRESUME: VM entry × 50");
    EXPECT_EQ(told[0].aside, "instruction 7");
}

TEST(Fold, AFewStayAsTheyAre) {
    const std::vector<StoryStep> steps(3, exit_at("main", "+5 instr"));
    EXPECT_EQ(folded(steps).size(), 3U);
    EXPECT_EQ(folded({}).size(), 0U);
}

// Each is the guest's own: what is told twice was noted twice.
TEST(Fold, WhatGuestAndLabSayStays) {
    EXPECT_EQ(folded(std::vector<StoryStep>(9, {"guest", "running"})).size(), 9U);
    EXPECT_EQ(folded(std::vector<StoryStep>(9, {"lab", "leaked 5 bytes"})).size(), 9U);
    EXPECT_EQ(folded(std::vector<StoryStep>(9, {"", "called from f"})).size(), 9U);
}

}  // namespace
}  // namespace hvp::tool
