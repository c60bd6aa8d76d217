// Pages for EPT tables: allocated before launch, since nothing can be allocated in VMX root
// operation.
//
// The pool knows both addresses of each of its pages, so the host system is never asked for one. A
// table that is no longer referenced is not free yet: until every processor has executed INVEPT,
// one may still walk through it. So it is *retired* first, and free after that INVEPT.
// [SDM 3C 28.3.2 "Creating and Using Cached Translation Information"]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/ept/entry.hpp"

namespace hvp::ept {

/// A table of any level.
using Table = std::array<Entry, entries_of_table>;
static_assert(sizeof(Table) == arch::page_bytes);

/// Consecutive pages, in linear and in physical addresses.
class TablePool {
public:
    /// Needs    the pages live as long as the pool, and nobody else touches them; `links` has a
    ///          place for each. They are not kept in the pages: a processor may still read a
    ///          retired one.
    TablePool(std::span<Table> pages, std::span<std::uint32_t> links,
              arch::HostPhysicalAddress physical)
        : pages_{pages}, links_{links}, physical_{physical}, free_count_{pages.size()} {
        for (std::size_t i = pages.size(); i > 0; --i) {
            push(free_, static_cast<std::uint32_t>(i - 1));
        }
    }
    TablePool(const TablePool&) = delete;
    TablePool& operator=(const TablePool&) = delete;

    /// An empty table, or null: no page is free.
    [[nodiscard]] Table* take() {
        if (free_ == none) {
            return nullptr;
        }
        Table& table = pages_[pop(free_)];
        --free_count_;
        table.fill(Entry{});
        return &table;
    }

    /// Nothing references the table any more, but a processor may have cached it.
    void retire(Table& table) {
        push(retired_, static_cast<std::uint32_t>(&table - pages_.data()));
        ++retired_count_;
    }

    /// Every processor has executed INVEPT since the last table was retired.
    void reclaim() {
        while (retired_ != none) {
            push(free_, pop(retired_));
            ++free_count_;
        }
        retired_count_ = 0;
    }

    [[nodiscard]] Table& at(arch::HostPhysicalAddress physical) const {
        return pages_[(physical - physical_) / arch::page_bytes];
    }
    [[nodiscard]] arch::HostPhysicalAddress physical_of(const Table& table) const {
        return physical_ + static_cast<std::uint64_t>(&table - pages_.data()) * arch::page_bytes;
    }
    /// Whether the page with this physical address belongs to the pool.
    [[nodiscard]] bool owns(arch::HostPhysicalAddress physical) const {
        return physical >= physical_ && physical - physical_ < pages_.size_bytes();
    }

    [[nodiscard]] std::size_t size() const { return pages_.size(); }
    [[nodiscard]] std::size_t free() const { return free_count_; }
    [[nodiscard]] std::size_t retired() const { return retired_count_; }
    [[nodiscard]] std::size_t used() const { return pages_.size() - free_count_ - retired_count_; }

private:
    static constexpr std::uint32_t none = ~0U;

    void push(std::uint32_t& list, std::uint32_t page) {
        links_[page] = list;
        list = page;
    }
    [[nodiscard]] std::uint32_t pop(std::uint32_t& list) {
        const std::uint32_t page = list;
        list = links_[page];
        return page;
    }

    std::span<Table> pages_;
    std::span<std::uint32_t> links_;  ///< for each page of a list, the next one
    arch::HostPhysicalAddress physical_;
    std::uint32_t free_{none};
    std::uint32_t retired_{none};
    std::size_t free_count_;
    std::size_t retired_count_{};
};

}  // namespace hvp::ept
