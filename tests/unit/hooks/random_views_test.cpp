// 100,000 random edits of a base and of two views over it: mapping, splitting, joining, pages that
// a view has for itself, pages that are pinned, and going back to the base.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <optional>

#include "tests/unit/ept/random_model.hpp"

namespace hvp::ept {
namespace {

class RandomViews : public testing::Test {
protected:
    static constexpr std::size_t view_count = 2;

    RandomViews() {
        for (std::uint32_t i = 0; i < processor_count; ++i) {
            base_.attach(i);
            views_[view_of(i)].attach(i);
        }
    }
    static std::size_t view_of(std::uint32_t processor) { return processor % view_count; }

    [[nodiscard]] std::optional<Leaf> expected_in(std::size_t view, std::uint64_t address) const {
        const auto own = own_[view].find(address / kb_4);
        if (own == own_[view].end()) {
            return model_.at(address);
        }
        std::optional<Leaf> leaf = own->second;
        if (leaf) {
            leaf->physical = leaf->physical + address % kb_4;
        }
        return leaf;
    }

    std::expected<PendingInvalidation, EditError> edit_base();
    std::expected<PendingInvalidation, EditError> edit_view(std::size_t view);
    std::expected<PendingInvalidation, EditError> split(Tables& tables, std::uint64_t address,
                                                        Level level);
    std::expected<PendingInvalidation, EditError> merge(Tables& tables, std::uint64_t address,
                                                        Level level);
    void flush_base(const PendingInvalidation& pending);
    void flush_view(std::size_t view, const PendingInvalidation& pending);
    void look();

    RandomChoice random_{7};
    PoolMemory memory_{40};
    std::array<PoolMemory, view_count> view_memory_{PoolMemory{30, 0x2000'0000},
                                                    PoolMemory{30, 0x3000'0000}};
    Tables base_{*Tables::create(memory_.pool, all_limits)};
    std::array<Tables, view_count> views_{*Tables::create_view(view_memory_[0].pool, base_),
                                          *Tables::create_view(view_memory_[1].pool, base_)};
    Model model_;
    std::map<std::uint64_t, Leaf> pinned_;  ///< by page number
    /// What a view has for itself, by page number; nothing: the page is not there.
    std::array<std::map<std::uint64_t, std::optional<Leaf>>, view_count> own_;
    std::array<CachingProcessor, processor_count> processors_;
    std::map<EditError, std::size_t> refused_;
    std::map<const Tables*, std::uint64_t> last_split_;
    std::size_t splits_{};
    std::size_t merges_{};
};

std::expected<PendingInvalidation, EditError> RandomViews::split(Tables& tables,
                                                                 std::uint64_t address,
                                                                 Level level) {
    const auto pending = tables.split(guest(address), level);
    splits_ += pending ? 1 : 0;
    last_split_[&tables] = address;
    return pending;
}

/// Most often there is no page to be made, so what was split last has a chance before others.
std::expected<PendingInvalidation, EditError> RandomViews::merge(Tables& tables,
                                                                 std::uint64_t address,
                                                                 Level level) {
    const auto pending = tables.merge(guest(last_split_[&tables]), Level::directory);
    if (pending) {
        ++merges_;
        return pending;
    }
    return tables.merge(guest(address), level);
}

std::expected<PendingInvalidation, EditError> RandomViews::edit_base() {
    std::uint64_t start = random_.some_address();
    std::uint64_t bytes = random_.some_size(start);
    if (random_.below(3) == 0) {
        start = start / mb_2 * mb_2;
        bytes = mb_2;
    }
    const auto level = static_cast<Level>(1 + random_.below(3));
    const auto first_pinned = pinned_.lower_bound(start / kb_4);
    const auto pinned_end = [&](std::uint64_t length) {
        return pinned_.lower_bound((start + length) / kb_4);
    };
    switch (random_.below(8)) {
        case 0: {
            const auto pending = base_.unmap(guest(start), bytes);
            if (pending && bytes != 0) {
                model_.erase(start, start + bytes);
                pinned_.erase(first_pinned, pinned_end(bytes));
            }
            return pending;
        }
        case 1:
            return split(base_, start, level);
        case 2:
            return merge(base_, start, level);
        default:
            break;
    }
    Mapping mapping = random_.some_mapping(start, bytes);
    mapping.pinned = mapping.bytes <= 3 * kb_4 && random_.below(2) == 0;
    mapping.preserve_pinned = !mapping.pinned && random_.below(2) == 0;
    const auto pending = base_.map(mapping);
    if (!pending || mapping.bytes == 0) {
        return pending;
    }
    model_.map(mapping);
    if (mapping.preserve_pinned) {
        for (auto page = first_pinned; page != pinned_end(mapping.bytes); ++page) {
            model_.map({.guest = guest(page->first * kb_4), .bytes = kb_4, .to = page->second});
        }
        return pending;
    }
    pinned_.erase(first_pinned, pinned_end(mapping.bytes));
    for (std::uint64_t at = 0; mapping.pinned && at < mapping.bytes; at += kb_4) {
        pinned_[(start + at) / kb_4] = *model_.at(start + at);
    }
    return pending;
}

std::expected<PendingInvalidation, EditError> RandomViews::edit_view(std::size_t view) {
    const std::uint64_t start = random_.some_address();
    const std::uint64_t bytes =
        std::min<std::uint64_t>(random_.below(4) * kb_4, (1ULL << 48) - start);
    const auto level = static_cast<Level>(1 + random_.below(3));
    switch (random_.below(8)) {
        case 0: {
            const auto pending = views_[view].unmap(guest(start), bytes);
            for (std::uint64_t at = start; pending && at < start + bytes; at += kb_4) {
                if (expected_in(view, at)) {
                    own_[view][at / kb_4] = std::nullopt;
                }
            }
            return pending;
        }
        case 1:
            return split(views_[view], start, level);
        case 2:
            return merge(views_[view], start, level);
        case 3:
        case 4:
        case 5: {
            const auto own = own_[view].lower_bound(start / kb_4);
            const std::uint64_t page = own == own_[view].end() ? start / kb_4 : own->first;
            own_[view].erase(page);
            return views_[view].restore(guest(page * kb_4));
        }
        default:
            break;
    }
    Mapping mapping = random_.some_mapping(start, bytes);
    mapping.largest = Level::page_table;
    const auto pending = views_[view].map(mapping);
    for (std::uint64_t at = 0; pending && at < mapping.bytes; at += kb_4) {
        Leaf leaf = mapping.to;
        leaf.physical = leaf.physical + at;
        own_[view][(start + at) / kb_4] = leaf;
    }
    return pending;
}

void RandomViews::flush_base(const PendingInvalidation& pending) {
    for (std::size_t view = 0; view < view_count; ++view) {
        flush_view(view, views_[view].sync_with_base(pending));
    }
    base_.flush_done(pending);
}

void RandomViews::flush_view(std::size_t view, const PendingInvalidation& pending) {
    for (std::uint32_t i = 0; i < processor_count; ++i) {
        if (view_of(i) == view) {
            processors_[i].expect_its_tables_in(views_[view]);
            if (pending.processors.has(i)) {
                processors_[i].invept();
            }
            processors_[i].expect_it_holds(
                [&](std::uint64_t address) { return expected_in(view, address); });
        }
    }
    views_[view].flush_done(pending);
}

void RandomViews::look() {
    for (std::uint32_t i = 0; i < processor_count; ++i) {
        const std::size_t view = view_of(i);
        const std::uint64_t address =
            std::min<std::uint64_t>(random_.some_address() + random_.one_of(sizes),
                                    (1ULL << 48) - kb_4) +
            random_.below(kb_4);
        const Walk walk = views_[view].walk(guest(address));
        const auto expected = expected_in(view, address);
        if (!expected) {
            ASSERT_EQ(walk.end, WalkEnd::not_present) << std::hex << address;
        } else {
            ASSERT_EQ(walk.end, WalkEnd::page) << std::hex << address;
            ASSERT_EQ(walk.physical.raw(), expected->physical.raw()) << std::hex << address;
            ASSERT_EQ(walk.rights, expected->rights);
            ASSERT_EQ(walk.type, expected->type);
        }
        processors_[i].access(views_[view], address);
    }
}

TEST_F(RandomViews, AgreeWithTheModel) {
    constexpr int edits = 100'000;
    for (int i = 0; i < edits && !HasFatalFailure(); ++i) {
        const std::size_t view = random_.below(view_count);
        const bool of_base = random_.below(20) == 0;
        const auto pending = of_base ? edit_base() : edit_view(view);
        if (!pending) {
            ++refused_[pending.error()];
        } else if (of_base) {
            flush_base(*pending);
        } else {
            flush_view(view, *pending);
        }
        look();
    }
    EXPECT_GT(refused_[EditError::no_table_left], 0U) << "no pool was ever used up";
    EXPECT_LT(refused_[EditError::no_table_left], edits / 10U);
    EXPECT_GT(splits_, edits / 10U);
    EXPECT_GT(merges_, edits / 1000U);
    // Every view gives back all that it has for itself, and so every table but its PML4 table.
    for (std::size_t view = 0; view < view_count; ++view) {
        while (!own_[view].empty()) {
            const std::uint64_t page = own_[view].begin()->first;
            own_[view].erase(page);
            flush_view(view, views_[view].restore(guest(page * kb_4)));
        }
        for (const std::uint64_t anchor : anchors) {
            const std::uint64_t first = anchor - std::min(anchor, 2 * mb_2);
            for (std::uint64_t at = first; at < anchor + 4 * mb_2; at += mb_2) {
                flush_view(view, views_[view].restore(guest(at)));
            }
        }
        EXPECT_EQ(view_memory_[view].pool.used(), 1U);
        EXPECT_EQ(view_memory_[view].pool.free() + 1, view_memory_[view].pages.size());
    }
    const auto pending = base_.unmap(guest(0), 1ULL << 48);
    ASSERT_TRUE(pending);
    model_.erase(0, 1ULL << 48);
    flush_base(*pending);
    EXPECT_EQ(memory_.pool.used(), 1U);
    EXPECT_EQ(memory_.pool.free() + 1, memory_.pages.size());
}

}  // namespace
}  // namespace hvp::ept
