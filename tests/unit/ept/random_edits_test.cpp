// 100,000 random edits of all sizes and alignments, compared with a model that is too simple to be
// wrong, and with processors that cache as much as the SDM lets them.
//
// A processor of this test caches every translation that it has used, and every table on the way,
// until it executes the INVEPT that an edit returned. So an edit that returns too little is found
// by a wrong translation in a cache, and a table that is used again too early by its contents.
// [SDM 3C 28.3.2 "Creating and Using Cached Translation Information"]
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/unit/ept/random_model.hpp"

namespace hvp::ept {
namespace {

class RandomEdits : public testing::Test {
protected:
    void edit();
    void flush_done(std::expected<PendingInvalidation, EditError> pending);
    void look();

    RandomChoice random_{20};
    PoolMemory memory_{40};
    Tables ept_{*Tables::create(memory_.pool, all_limits)};
    Model model_;
    std::array<CachingProcessor, processor_count> processors_;
    std::string why_;  ///< the edit, for the report
    std::size_t refused_{};
    std::size_t unflushed_{};
};

void RandomEdits::edit() {
    const std::uint64_t start = random_.some_address();
    const std::uint64_t bytes = random_.some_size(start);
    why_ = std::to_string(start) + " " + std::to_string(bytes);
    if (random_.below(3) == 0) {
        const auto pending = ept_.unmap(guest(start), bytes);
        if (pending && bytes != 0) {
            model_.erase(start, start + bytes);
        }
        return flush_done(pending);
    }
    const Mapping mapping = random_.some_mapping(start, bytes);
    const auto pending = ept_.map(mapping);
    if (pending && mapping.bytes != 0) {
        model_.map(mapping);
    }
    flush_done(pending);
}

void RandomEdits::flush_done(std::expected<PendingInvalidation, EditError> pending) {
    if (!pending) {
        ++refused_;
        ASSERT_EQ(pending.error(), EditError::no_table_left) << why_;
        return;
    }
    for (std::uint32_t i = 0; i < processor_count; ++i) {
        processors_[i].expect_its_tables_in(ept_);
        if (pending->processors.has(i)) {
            processors_[i].invept();
        }
    }
    unflushed_ += pending->empty() ? 0 : 1;
    ept_.flush_done(*pending);
    for (const CachingProcessor& processor : processors_) {
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
        ept_.attach(i);
    }
    for (int i = 0; i < edits && !HasFatalFailure(); ++i) {
        edit();
        look();
    }
    EXPECT_GT(refused_, 0U) << "the pool was never used up";
    EXPECT_LT(refused_, edits / 10U);
    EXPECT_GT(unflushed_, edits / 10U);
    const auto pending = ept_.unmap(guest(0), 1ULL << 48);
    ASSERT_TRUE(pending);
    ept_.flush_done(*pending);
    EXPECT_EQ(memory_.pool.used(), 1U) << "only the PML4 table is left";
    EXPECT_EQ(memory_.pool.free() + 1, memory_.pages.size());
}

}  // namespace
}  // namespace hvp::ept
