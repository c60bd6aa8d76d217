// Split pages: the registry, what a violation leads to, and the frames of single steps.
#include "hypervisor/hooks/split_page.hpp"

#include <gtest/gtest.h>

#include "tests/unit/ept/memory.hpp"

namespace hvp::ept {
namespace {

using Kind = ViolationResponse::Kind;

SplitPage target_at(std::uint64_t page) {
    return {.page = guest(page), .data = host(page), .code = host(page + gb_1)};
}

TEST(EptSplitPages, AreFoundByAnyAddressInThem) {
    SplitPages pages;
    ASSERT_TRUE(pages.add(target_at(0x5000), all_limits));
    EXPECT_EQ(pages.find(guest(0x4FFF)), nullptr);
    EXPECT_EQ(pages.find(guest(0x5000))->page, guest(0x5000));
    EXPECT_EQ(pages.find(guest(0x5FFF))->page, guest(0x5000));
    EXPECT_EQ(pages.find(guest(0x6000)), nullptr);
    EXPECT_TRUE(pages.remove(guest(0x5000)));
    EXPECT_FALSE(pages.remove(guest(0x5000)));
    EXPECT_EQ(pages.find(guest(0x5000)), nullptr);
}

TEST(EptSplitPages, AreRefusedWithTheReason) {
    SplitPages pages;
    Limits limits = all_limits;
    limits.capability.execute_only = 0;
    EXPECT_EQ(pages.add(target_at(0), limits).error(), SplitPageError::no_execute_only);
    EXPECT_EQ(pages.add(target_at(0x10), all_limits).error(), SplitPageError::not_aligned);
    for (std::uint64_t i = 0; i < SplitPages::capacity; ++i) {
        ASSERT_TRUE(pages.add(target_at(i * kb_4), all_limits));
    }
    EXPECT_EQ(pages.add(target_at(0), all_limits).error(), SplitPageError::already_split);
    EXPECT_EQ(pages.add(target_at(gb_1), all_limits).error(), SplitPageError::full);
    EXPECT_TRUE(pages.remove(guest(3 * kb_4)));
    EXPECT_TRUE(pages.add(target_at(gb_1), all_limits));
    for (std::uint64_t i = 0; i < SplitPages::capacity; ++i) {
        EXPECT_EQ(pages.find(guest(i * kb_4)) == nullptr, i == 3);
    }
}

class EptViolationResponse : public testing::Test {
protected:
    EptViolationResponse() {
        EXPECT_TRUE(split_pages_.add(target_at(0x5000), all_limits));
        EXPECT_TRUE(split_pages_.add(target_at(0x6000), all_limits));
    }
    ViolationResponse answer(std::uint64_t address, Rights wanted, View view,
                             const InstructionPlace& place, bool during_delivery = false) {
        return respond_to({.guest_physical = guest(address),
                           .qualification = {.read = wanted.read,
                                             .write = wanted.write,
                                             .execute = wanted.execute}},
                          during_delivery, view, place, split_pages_);
    }
    SplitPages split_pages_;
    const InstructionPlace elsewhere_{.first = guest(0x1000)};
};

TEST_F(EptViolationResponse, OtherPagesAreNotItsBusiness) {
    EXPECT_EQ(answer(0x4FFF, read_only, View::code, elsewhere_).kind, Kind::not_split);
    EXPECT_EQ(answer(0x7000, execute_only, View::data, elsewhere_).kind, Kind::not_split);
    EXPECT_EQ(respond_to({.guest_physical = guest(0x5000), .is_misconfiguration = true}, false,
                         View::code, elsewhere_, split_pages_)
                  .kind,
              Kind::not_split);
}

TEST_F(EptViolationResponse, WhatAViewAllowsCannotBeAViolationOfIt) {
    EXPECT_EQ(answer(0x5000, execute_only, View::code, elsewhere_).kind, Kind::not_split);
    EXPECT_EQ(answer(0x5000, read_only, View::data, elsewhere_).kind, Kind::not_split);
    EXPECT_EQ(answer(0x5000, read_write, View::step, elsewhere_).kind, Kind::not_split);
}

TEST_F(EptViolationResponse, FetchesLeadToTheCodeViewAndOperandsToTheDataView) {
    EXPECT_EQ(answer(0x5123, execute_only, View::data, elsewhere_).kind, Kind::switch_to_code);
    EXPECT_EQ(answer(0x5123, execute_only, View::step, elsewhere_).kind, Kind::switch_to_code);
    EXPECT_EQ(answer(0x5123, read_only, View::code, elsewhere_).kind, Kind::switch_to_data);
    EXPECT_EQ(answer(0x5123, read_write, View::code, elsewhere_).kind, Kind::switch_to_data);
}

TEST_F(EptViolationResponse, AnInstructionInASplitPageThatAccessesAnyIsStepped) {
    for (const std::uint64_t operand : {0x5800U, 0x6800U}) {
        const ViolationResponse one =
            answer(operand, read_only, View::code, {.first = guest(0x5123)});
        ASSERT_EQ(one.kind, Kind::step);
        ASSERT_EQ(one.part_count, 1U);
        EXPECT_EQ(one.parts[0].split_page.page, guest(0x5000));
        EXPECT_EQ(one.parts[0].first, 0x123U);
        EXPECT_EQ(one.parts[0].count, arch::most_instruction_bytes);
    }
}

TEST_F(EptViolationResponse, AnInstructionThatCrossesIsSteppedByItsPartsInSplitPages) {
    const ViolationResponse tail =
        answer(0x5800, read_only, View::code, {.first = guest(0x1FFC), .next_page = guest(0x5000)});
    ASSERT_EQ(tail.kind, Kind::step);
    ASSERT_EQ(tail.part_count, 1U);
    EXPECT_EQ(tail.parts[0].first, 0U);
    EXPECT_EQ(tail.parts[0].count, 11U);
    const ViolationResponse both =
        answer(0x5800, read_only, View::code, {.first = guest(0x5FF2), .next_page = guest(0x6000)});
    ASSERT_EQ(both.part_count, 2U);
    EXPECT_EQ(both.parts[0].first, 0xFF2U);
    EXPECT_EQ(both.parts[0].count, 14U);
    EXPECT_EQ(both.parts[1].split_page.page, guest(0x6000));
    EXPECT_EQ(both.parts[1].count, 1U);
    const ViolationResponse whole =
        answer(0x5800, read_only, View::code, {.first = guest(0x5FF1), .next_page = guest(0x6000)});
    EXPECT_EQ(whole.part_count, 1U) << "15 bytes fit into this page";
    EXPECT_EQ(
        answer(0x5800, read_only, View::code, {.first = guest(0x1000), .next_page = guest(0x5000)})
            .kind,
        Kind::switch_to_data)
        << "it cannot reach the next page";
}

TEST_F(EptViolationResponse, AccessesOfAnEventsDeliveryAreNotTheInstructions) {
    EXPECT_EQ(answer(0x5800, read_write, View::code, {.first = guest(0x5123)}, true).kind,
              Kind::switch_to_data);
}

TEST(EptInstruction, MayCrossFromTheLast14Bytes) {
    EXPECT_FALSE(may_cross(0x1FF1));
    EXPECT_TRUE(may_cross(0x1FF2));
    EXPECT_TRUE(may_cross(0x1FFF));
    EXPECT_FALSE(may_cross(0x2000));
}

class EptStepFrame : public testing::Test {
protected:
    using Bytes = std::array<std::byte, arch::page_bytes>;
    static constexpr std::byte in_data{0xDA};
    static constexpr std::byte in_code{0xC0};
    static constexpr InstructionPart part{.split_page = {}, .first = 100, .count = 15};

    EptStepFrame() {
        data_.fill(in_data);
        code_.fill(in_code);
        compose(frame_, before_, data_, code_, part);
    }
    Bytes data_{};
    Bytes code_{};
    Bytes frame_{};
    Bytes before_{};
};

TEST_F(EptStepFrame, HasTheInstructionFromTheCodeFrameAndTheRestFromTheDataFrame) {
    for (std::uint32_t i = 0; i < frame_.size(); ++i) {
        ASSERT_EQ(frame_[i], i >= 100 && i < 115 ? in_code : in_data) << i;
    }
}

TEST_F(EptStepFrame, WhatTheInstructionWritesGoesToTheDataFrameAndNothingElseDoes) {
    frame_[5] = std::byte{1};
    frame_[4095] = std::byte{2};
    data_[7] = std::byte{3};  // another processor, meanwhile
    EXPECT_EQ(copy_back(data_, frame_, before_), 2U);
    EXPECT_EQ(data_[5], std::byte{1});
    EXPECT_EQ(data_[4095], std::byte{2});
    EXPECT_EQ(data_[7], std::byte{3});
    EXPECT_EQ(data_[100], in_data) << "the instruction's bytes were not written";
    EXPECT_EQ(code_[100], in_code);
}

TEST_F(EptStepFrame, AnInstructionThatWritesItselfChangesTheDataFrame) {
    frame_[103] = std::byte{0x90};
    EXPECT_EQ(copy_back(data_, frame_, before_), 1U);
    EXPECT_EQ(data_[103], std::byte{0x90});
    EXPECT_EQ(code_[103], in_code) << "what runs stays what it was";
}

// What cannot be right: this is as far as one frame for both goes.
TEST_F(EptStepFrame, AWriteOfTheByteThatTheCodeFrameHasIsNotSeen) {
    frame_[103] = in_code;
    EXPECT_EQ(copy_back(data_, frame_, before_), 0U);
    EXPECT_EQ(data_[103], in_data);
}

TEST_F(EptStepFrame, AnOperandWithinTheInstructionIsAmbiguousWhereTheFramesDiffer) {
    EXPECT_FALSE(is_ambiguous(data_, code_, part, 99));
    EXPECT_TRUE(is_ambiguous(data_, code_, part, 100));
    EXPECT_TRUE(is_ambiguous(data_, code_, part, 114));
    EXPECT_FALSE(is_ambiguous(data_, code_, part, 115));
    code_[107] = in_data;
    EXPECT_FALSE(is_ambiguous(data_, code_, part, 107)) << "both frames have the same byte there";
}

}  // namespace
}  // namespace hvp::ept
