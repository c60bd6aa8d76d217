// What random edits of EPTs are held against: a model that is too simple to be wrong, and
// processors that cache as much as the SDM lets them.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <optional>
#include <random>
#include <utility>

#include "tests/unit/ept/memory.hpp"

namespace hvp::ept {

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
        split_at(start);
        split_at(end);
        stretches_.erase(stretches_.lower_bound(start), stretches_.lower_bound(end));
    }
    void map(std::uint64_t start, const Stretch& stretch) {
        erase(start, stretch.end);
        stretches_[start] = stretch;
    }
    void map(const Mapping& mapping) {
        map(mapping.guest.raw(), {.end = mapping.guest.raw() + mapping.bytes,
                                  .physical = mapping.to.physical.raw(),
                                  .rights = mapping.to.rights,
                                  .type = mapping.to.type});
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
    void split_at(std::uint64_t where) {
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
struct CachingProcessor {
    std::map<std::uint64_t, Leaf> pages{};    ///< by page number
    std::map<std::uint64_t, Place> tables{};  ///< by physical address

    void access(const Tables& ept, std::uint64_t address) {
        // A processor may drop cached translations at any time. That this one keeps no more keeps
        // the test short.
        constexpr std::size_t most_pages = 16;
        if (pages.size() == most_pages) {
            invept();
        }
        const Walk walk = ept.walk(guest(address));
        // Nothing is cached of entries that are not present.
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
    void invept() {
        pages.clear();
        tables.clear();
    }
    /// Before its INVEPT: no table whose use it has cached may have become another one.
    void expect_its_tables_in(const Tables& ept) const {
        for (const auto& [page, leaf] : pages) {
            const Walk walk = ept.walk(guest(page * kb_4));
            for (std::uint32_t i = 0; i < walk.step_count; ++i) {
                const WalkStep& step = walk.steps[i];
                const auto cached = tables.find(step.table.raw());
                if (cached != tables.end() && step.level != Level::pml4) {
                    const Place place{
                        step.level, page * kb_4 / (bytes_of_entry(step.level) * entries_of_table)};
                    ASSERT_EQ(cached->second, place) << "a table was used again too early";
                }
            }
        }
    }
    /// After its INVEPT: what it has cached still holds, perhaps with more rights.
    template <typename At>
    void expect_it_holds(At at) const {
        for (const auto& [page, leaf] : pages) {
            const std::optional<Leaf> now = at(page * kb_4);
            ASSERT_TRUE(now) << "a page is gone, and a processor goes on using it";
            ASSERT_EQ(now->physical.raw(), leaf.physical.raw());
            ASSERT_EQ(now->type, leaf.type);
            ASSERT_EQ(now->rights & leaf.rights, leaf.rights);
        }
    }
};

inline constexpr std::uint32_t processor_count = 3;
inline constexpr std::array<std::uint64_t, 7> anchors{
    0, 2 * mb_2, 5 * mb_2, gb_1, 3 * gb_1, gb_512, (1ULL << 48) - 4 * gb_1};
inline constexpr std::array<std::uint64_t, 12> sizes{
    0,    kb_4,        kb_4,     2 * kb_4,    3 * kb_4, mb_2 - kb_4,
    mb_2, mb_2 + kb_4, 2 * mb_2, gb_1 - kb_4, gb_1,     gb_1 + mb_2 + kb_4};
inline constexpr std::array rights_of_choice{everything, read_only, read_write, read_execute,
                                             execute_only};
inline constexpr std::array types_of_choice{MemoryType::uncacheable, MemoryType::write_combining,
                                            MemoryType::write_through, MemoryType::write_protected,
                                            MemoryType::write_back};

/// Addresses and sizes that are close to where something ends.
class RandomChoice {
public:
    explicit RandomChoice(std::uint64_t seed) : random_{seed} {}

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
    /// Something to map at `start`, perhaps less than `bytes`: of the same alignment as the
    /// guest-physical address, or of one that makes large pages impossible; then, and with small
    /// pages only, no thousands of them.
    Mapping some_mapping(std::uint64_t start, std::uint64_t bytes) {
        const auto largest = static_cast<Level>(1 + below(3));
        const bool aligned = below(4) != 0;
        std::uint64_t physical = start % (4 * gb_1) + below(4) * gb_1;
        if (!aligned || largest == Level::page_table) {
            physical += aligned ? 0 : kb_4;
            bytes = std::min(bytes, 2 * mb_2);
        }
        const Rights rights = one_of(rights_of_choice);
        return {
            .guest = guest(start),
            .bytes = bytes,
            .to = {.physical = host(physical), .rights = rights, .type = one_of(types_of_choice)},
            .largest = largest};
    }

private:
    std::mt19937_64 random_;
};

}  // namespace hvp::ept
