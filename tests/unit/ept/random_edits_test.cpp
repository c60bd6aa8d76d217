// 100,000 random edits of nasty sizes and alignments, held against a model that is too simple to be
// wrong, and against processors that remember as much as the SDM lets them.
//
// A processor of this test keeps every translation that it has seen, and every table on the way,
// and forgets only when it executes what an edit says is due. So an edit that owes too little is
// found by what a processor still believes, and a table that is used again too early by what stands
// in it. [SDM 3C 28.3.2 "Creating and Using Cached Translation Information"]
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/unit/ept/random_model.hpp"

namespace hvp::ept {
namespace {

class RandomEdits : public testing::Test {
protected:
    void edit();
    void settle(std::expected<PendingInvalidation, EditError> due);
    void look();

    RandomChoice random_{20};
    PoolMemory memory_{40};
    Tables ept_{*Tables::create(memory_.pool, all_limits)};
    Model model_;
    std::array<RememberingProcessor, processor_count> processors_;
    std::string why_;  ///< the edit, for the report
    std::size_t refused_{};
    std::size_t owing_{};
};

void RandomEdits::edit() {
    const std::uint64_t start = random_.some_address();
    const std::uint64_t bytes = random_.some_size(start);
    why_ = std::to_string(start) + " " + std::to_string(bytes);
    if (random_.below(3) == 0) {
        const auto due = ept_.unmap(guest(start), bytes);
        if (due && bytes != 0) {
            model_.erase(start, start + bytes);
        }
        return settle(due);
    }
    const Mapping mapping = random_.some_mapping(start, bytes);
    const auto due = ept_.map(mapping);
    if (due && mapping.bytes != 0) {
        model_.map(mapping);
    }
    settle(due);
}

void RandomEdits::settle(std::expected<PendingInvalidation, EditError> due) {
    if (!due) {
        ++refused_;
        ASSERT_EQ(due.error(), EditError::no_table_left) << why_;
        return;
    }
    for (std::uint32_t i = 0; i < processor_count; ++i) {
        processors_[i].expect_its_tables_in(ept_);
        if (due->processors.has(i)) {
            processors_[i].forget();
        }
    }
    owing_ += due->is_nothing() ? 0 : 1;
    ept_.completed(*due);
    for (const RememberingProcessor& processor : processors_) {
        processor.expect_it_holds([this](std::uint64_t address) { return model_.at(address); });
    }
}

void RandomEdits::look() {
    for (int i = 0; i < 4; ++i) {
        const std::uint64_t address =
            std::min<std::uint64_t>(random_.some_address() + random_.one_of(sizes),
                                    (1ULL << 48) - kb_4) +
            random_.below(kb_4);
        const Walk walk = ept_.walk(guest(address));
        const auto expected = model_.at(address);
        if (!expected) {
            ASSERT_EQ(walk.end, WalkEnd::not_present) << std::hex << address;
        } else {
            ASSERT_EQ(walk.end, WalkEnd::page) << std::hex << address;
            ASSERT_EQ(walk.physical.raw(), expected->physical.raw()) << std::hex << address;
            ASSERT_EQ(walk.rights, expected->rights);
            ASSERT_EQ(walk.type, expected->type);
        }
        processors_[random_.below(processor_count)].access(ept_, address);
    }
}

TEST_F(RandomEdits, AgreeWithTheModel) {
    constexpr int edits = 100'000;
    for (std::uint32_t i = 0; i < processor_count; ++i) {
        ept_.used_by(i);
    }
    for (int i = 0; i < edits && !HasFatalFailure(); ++i) {
        edit();
        look();
    }
    EXPECT_GT(refused_, 0U) << "the pool was never used up";
    EXPECT_LT(refused_, edits / 10U);
    EXPECT_GT(owing_, edits / 10U);
    const auto due = ept_.unmap(guest(0), 1ULL << 48);
    ASSERT_TRUE(due);
    ept_.completed(*due);
    EXPECT_EQ(memory_.pool.used(), 1U) << "only the PML4 table is left";
    EXPECT_EQ(memory_.pool.free() + 1, memory_.pages.size());
}

}  // namespace
}  // namespace hvp::ept
