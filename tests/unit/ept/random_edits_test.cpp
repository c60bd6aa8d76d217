// 100,000 random edits of nasty sizes and alignments, held against a model that is too simple to be
// wrong, and against processors that remember as much as the SDM lets them.
//
// A processor of this test keeps every translation that it has seen, and every table on the way,
// and forgets only when it executes what an edit says is due. So an edit that owes too little is
// found by what a processor still believes, and a table that is used again too early by what stands
// in it. [SDM 3C 28.3.2 "Creating and Using Cached Translation Information"]
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "tests/unit/ept/memory.hpp"

namespace hvp::ept {
namespace {

/// Stretches of guest-physical memory, each of which leads to one of host-physical memory.
class Model {
public:
    struct Stretch {
        std::uint64_t end;
        std::uint64_t physical;  ///< of the first byte
        Rights rights;
        MemoryType type;
    };

    void erase(std::uint64_t start, std::uint64_t end) {
        cut(start);
        cut(end);
        stretches_.erase(stretches_.lower_bound(start), stretches_.lower_bound(end));
    }
    void map(std::uint64_t start, const Stretch& stretch) {
        erase(start, stretch.end);
        stretches_[start] = stretch;
    }
    [[nodiscard]] std::optional<Leaf> at(std::uint64_t address) const {
        auto found = stretches_.upper_bound(address);
        if (found == stretches_.begin() || address >= (--found)->second.end) {
            return std::nullopt;
        }
        return Leaf{.physical = host(found->second.physical + (address - found->first)),
                    .rights = found->second.rights,
                    .type = found->second.type};
    }

private:
    void cut(std::uint64_t where) {
        auto found = stretches_.lower_bound(where);
        if (found == stretches_.begin() || where >= (--found)->second.end) {
            return;
        }
        Stretch rest = found->second;
        rest.physical += where - found->first;
        found->second.end = where;
        stretches_[where] = rest;
    }

    std::map<std::uint64_t, Stretch> stretches_;
};

/// The place of a table in the tree: its level and the addresses that it is for.
using Place = std::pair<Level, std::uint64_t>;

/// A processor in its guest.
struct RememberingProcessor {
    std::map<std::uint64_t, Leaf> pages{};    ///< by page number
    std::map<std::uint64_t, Place> tables{};  ///< by physical address

    void access(const Tables& ept, std::uint64_t address) {
        // It may forget whenever it likes. That it remembers no more than this keeps the test
        // short.
        constexpr std::size_t most_pages = 16;
        if (pages.size() == most_pages) {
            forget();
        }
        const Walk walk = ept.walk(guest(address));
        // Nothing is remembered of entries that are not present.
        if (walk.end == WalkEnd::page) {
            pages[address / kb_4] = {.physical = walk.physical - address % kb_4,
                                     .rights = walk.rights,
                                     .type = walk.type};
            for (std::uint32_t i = 0; i < walk.step_count; ++i) {
                const WalkStep& step = walk.steps[i];
                tables[step.table.raw()] = {
                    step.level, step.level == Level::pml4
                                    ? 0
                                    : address / (bytes_of_entry(step.level) * entries_of_table)};
            }
        }
    }
    void forget() {
        pages.clear();
        tables.clear();
    }
};

constexpr std::uint32_t processor_count = 3;
constexpr std::array<std::uint64_t, 7> anchors{
    0, 2 * mb_2, 5 * mb_2, gb_1, 3 * gb_1, gb_512, (1ULL << 48) - 4 * gb_1};
constexpr std::array<std::uint64_t, 12> sizes{0,        kb_4,        kb_4, 2 * kb_4,
                                              3 * kb_4, mb_2 - kb_4, mb_2, mb_2 + kb_4,
                                              2 * mb_2, gb_1 - kb_4, gb_1, gb_1 + mb_2 + kb_4};
constexpr std::array rights_of_choice{everything, read_only, read_write, read_execute,
                                      execute_only};
constexpr std::array types_of_choice{MemoryType::uncacheable, MemoryType::write_combining,
                                     MemoryType::write_through, MemoryType::write_protected,
                                     MemoryType::write_back};

class RandomEdits : public testing::Test {
protected:
    std::uint64_t below(std::uint64_t end) { return random_() % end; }
    template <typename T, std::size_t n>
    T one_of(const std::array<T, n>& choices) {
        return choices[below(n)];
    }
    std::uint64_t some_address() {
        const std::uint64_t anchor = one_of(anchors);
        const std::uint64_t offset = below(6) * kb_4 + (below(4) == 0 ? mb_2 : 0);
        return below(3) == 0 && anchor != 0 ? anchor - offset : anchor + offset;
    }
    std::uint64_t some_size(std::uint64_t start) {
        // The large ones are rare: each touches thousands of entries.
        const std::uint64_t size = below(40) == 0 ? one_of(sizes) : sizes[below(8)];
        return std::min<std::uint64_t>(size, (1ULL << 48) - start);
    }

    void edit();
    void settle(std::expected<InvalidationDue, EditError> due);
    void look();

    std::mt19937_64 random_{20};
    PoolMemory memory_{40};
    Tables ept_{*Tables::create(memory_.pool, all_limits)};
    Model model_;
    std::array<RememberingProcessor, processor_count> processors_;
    std::string why_;  ///< the edit, for the report
    std::size_t refused_{};
    std::size_t owing_{};
};

void RandomEdits::edit() {
    const std::uint64_t start = some_address();
    const std::uint64_t bytes = some_size(start);
    why_ = std::to_string(start) + " " + std::to_string(bytes);
    if (below(3) == 0) {
        const auto due = ept_.unmap(guest(start), bytes);
        if (due && bytes != 0) {
            model_.erase(start, start + bytes);
        }
        return settle(due);
    }
    const auto largest = static_cast<Level>(1 + below(3));
    // Of the same alignment as the guest-physical address, or of one that makes large pages
    // impossible; then, and with small pages only, no thousands of them.
    const bool aligned = below(4) != 0;
    std::uint64_t physical = start % (4 * gb_1) + below(4) * gb_1;
    std::uint64_t length = bytes;
    if (!aligned || largest == Level::page_table) {
        physical += aligned ? 0 : kb_4;
        length = std::min(length, 2 * mb_2);
    }
    const Model::Stretch stretch{.end = start + length,
                                 .physical = physical,
                                 .rights = one_of(rights_of_choice),
                                 .type = one_of(types_of_choice)};
    const auto due = ept_.map(
        {.guest = guest(start),
         .bytes = length,
         .to = {.physical = host(physical), .rights = stretch.rights, .type = stretch.type},
         .largest = largest});
    if (due && length != 0) {
        model_.map(start, stretch);
    }
    settle(due);
}

void RandomEdits::settle(std::expected<InvalidationDue, EditError> due) {
    if (!due) {
        ++refused_;
        ASSERT_EQ(due.error(), EditError::no_table_left) << why_;
        return;
    }
    // Before anybody has forgotten anything: no remembered table may have become another one.
    for (const RememberingProcessor& processor : processors_) {
        for (const auto& [address, leaf] : processor.pages) {
            const Walk walk = ept_.walk(guest(address * kb_4));
            for (std::uint32_t i = 0; i < walk.step_count; ++i) {
                const WalkStep& step = walk.steps[i];
                const auto remembered = processor.tables.find(step.table.raw());
                if (remembered != processor.tables.end() && step.level != Level::pml4) {
                    const Place place{
                        step.level,
                        address * kb_4 / (bytes_of_entry(step.level) * entries_of_table)};
                    ASSERT_EQ(remembered->second, place) << "a table was used again too early";
                }
            }
        }
    }
    for (std::uint32_t i = 0; i < processor_count; ++i) {
        if (due->processors.has(i)) {
            processors_[i].forget();
        }
    }
    owing_ += due->is_nothing() ? 0 : 1;
    ept_.completed(*due);
    // Now whoever remembers something may only remember what still holds, or fewer rights to it.
    for (const RememberingProcessor& processor : processors_) {
        for (const auto& [page, leaf] : processor.pages) {
            const auto now = model_.at(page * kb_4);
            ASSERT_TRUE(now) << "a page is gone, and a processor goes on using it";
            ASSERT_EQ(now->physical.raw(), leaf.physical.raw());
            ASSERT_EQ(now->type, leaf.type);
            ASSERT_EQ(now->rights & leaf.rights, leaf.rights);
        }
    }
}

void RandomEdits::look() {
    for (int i = 0; i < 4; ++i) {
        const std::uint64_t address =
            std::min<std::uint64_t>(some_address() + one_of(sizes), (1ULL << 48) - kb_4) +
            below(kb_4);
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
        processors_[below(processor_count)].access(ept_, address);
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
