// One EPT: which guest-physical address leads to which host-physical one, built and changed in a
// pool of table pages that was taken before launch.
//
// The walk, as in ordinary paging with four levels; an entry at level n controls 4 KB * 512^(n-1):
//
//   guest-physical  47      39 38      30 29      21 20      12 11         0
//                  |   pml4   | pointers | directory|page_table|   offset   |
//                   9 bits     9 bits     9 bits     9 bits     in a 4-KByte page
//                  512 GBytes  1 GByte    2 MBytes   4 KBytes   controlled by one entry
//
//   entry  63    53 52        51          12 11 10 9 8  7    6    5     3 2 1 0
//         | ignored|our marks|    address   |     |D|A|large|IPAT| type  |X|W|R|
//
// R, W, X: present if any is 1. "large", type and IPAT exist where the entry maps a page; `Entry`
// reads them all, and the structs in entry.hpp say which kind of entry has which bits.
//
// Each edit is one step for a processor that walks at the same time: a table is complete before an
// entry references it, and each entry changes by one store, from the old value to the new one.
// So there is no moment in which a page that is mapped before and after is not mapped.
//
// For executable memory that is not enough while other processors run the guest. From a page of
// another size in the tables on, until its INVEPT, a processor may have both sizes in its TLB; and
// on many processors (CVE-2018-12207; not those with IA32_ARCH_CAPABILITIES bit 6) an instruction
// fetch that meets both is a machine check that stops the package. So the size of a page is changed
// in three steps then, and its type, too:
//
//   hold_execution   execute off, at the entry that is going to change     INVEPT on each processor
//   split, merge, map   the new size; nothing executable of the old one is cached any more
//                       … and execute is on again, as part of that store   INVEPT on each processor
//
// A guest that executes there in between has an EPT violation, and tries again. No stage changes
// the size of a page while other processors run on the same tables, so none takes the first step
// yet.
// [SDM 3A 4.10.2.3 "Details of TLB Use"], [SDM 3C 28.3.3.4 "Guidelines for Use of the INVEPT Instruction"]
//
// Several EPTs that differ in a few pages share the rest: a *view* is created over a base, begins
// with the same contents, and has tables of its own only on the way to pages of its own. A table of
// the base that an edit of the view meets is copied first, and never changed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <utility>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/processor_set.hpp"
#include "hypervisor/ept/entry.hpp"
#include "hypervisor/ept/invalidation.hpp"
#include "hypervisor/ept/misconfiguration.hpp"
#include "hypervisor/ept/pointer.hpp"
#include "hypervisor/ept/table_pool.hpp"
#include "hypervisor/ept/walk.hpp"

namespace hvp::ept {

/// Consecutive guest-physical pages, and where they shall lead.
struct Mapping {
    arch::GuestPhysicalAddress guest{0};
    std::uint64_t bytes{};
    Leaf to{};                         ///< of the first byte; the others follow consecutively
    Level largest{Level::page_table};  ///< the largest page that may be used
    bool pinned{};                     ///< mappings with `preserve_pinned` leave these pages alone
    bool preserve_pinned{};            ///< pinned pages stay, and flags of pages that do not move
};

/// Why an edit was refused. Then nothing has changed.
enum class EditError : std::uint8_t {
    not_aligned,         ///< an address or a length is not a multiple of 4 KBytes
    out_of_range,        ///< beyond 48 guest-physical bits, or beyond MAXPHYADDR
    would_misconfigure,  ///< the processor would refuse such an entry
    no_table_left,       ///< the pool is used up
    not_one_page,        ///< the 512 parts are not those of one larger page
};

/// Where    everywhere: nothing here executes an instruction. The caller prevents that two
///          processors edit one EPT at once.
class Tables {
public:
    /// An EPT that maps nothing.
    ///
    /// Needs    a page in the pool for the PML4 table
    [[nodiscard]] static std::expected<Tables, EditError> create(TablePool& pool,
                                                                 const Limits& limits);
    /// A view: an EPT that maps what `base` maps, with a PML4 table of its own and no other.
    ///
    /// Needs    a pool that the base does not use; a base that is no view and lives longer. Attach
    ///          each processor that uses the view to the base too: the base's tables stay in use
    ///          until that processor has executed INVEPT.
    [[nodiscard]] static std::expected<Tables, EditError> create_view(TablePool& pool,
                                                                      const Tables& base);
    Tables(Tables&& other) noexcept
        : pool_{other.pool_},
          limits_{other.limits_},
          root_{std::exchange(other.root_, nullptr)},
          base_root_{other.base_root_},
          base_pool_{other.base_pool_},
          records_accesses_{other.records_accesses_},
          processors_{other.processors_},
          unflushed_edits_{other.unflushed_edits_} {}
    Tables& operator=(Tables&&) = delete;
    /// Returns every table page to the pool.
    ///
    /// Where    no processor uses this EPT any more, and none will before it has executed INVEPT
    ~Tables();

    /// For the VMCS.
    [[nodiscard]] Pointer pointer() const {
        Pointer pointer = pointer_to(pool_->physical_of(*root_));
        pointer.accessed_and_dirty = records_accesses_ ? 1 : 0;
        return pointer;
    }

    /// The processor shall set accessed and dirty flags in the entries that it uses.
    ///
    /// Needs    a processor that has them; before the pointer is used, and before views are created
    /// Source   [SDM 3C 28.2.4 "Accessed and Dirty Flags for EPT"]
    void record_accesses() { records_accesses_ = true; }

    [[nodiscard]] const Limits& limits() const { return limits_; }
    [[nodiscard]] const TablePool& pool() const { return *pool_; }

    /// From now on the processor may cache translations of this EPT: before its first VM entry.
    void attach(std::uint32_t processor) {
        processors_ = processors_ | arch::ProcessorSet::only(processor);
    }
    /// The processor does not use this EPT any more, and has executed INVEPT.
    void detach(std::uint32_t processor) {
        processors_ = processors_.without(arch::ProcessorSet::only(processor));
    }

    /// Maps, whatever was mapped there before; a large page of which only a part is mapped anew is
    /// split.
    [[nodiscard]] std::expected<PendingInvalidation, EditError> map(const Mapping& mapping);

    /// Removes mappings; tables that become empty are retired.
    [[nodiscard]] std::expected<PendingInvalidation, EditError> unmap(
        arch::GuestPhysicalAddress guest, std::uint64_t bytes);

    /// Splits the large page that the address lies in, until its page is of this level or smaller.
    /// Addresses, rights, type and flags stay; but a flag that a processor sets at the same moment
    /// can be lost, here and in `merge`.
    [[nodiscard]] std::expected<PendingInvalidation, EditError> split(
        arch::GuestPhysicalAddress guest, Level level);

    /// The opposite: the table of 512 parts below the entry of this level becomes one page again.
    /// It is accessed, or dirty, if one of its parts is.
    ///
    /// Returns  not_one_page, unless all parts have the same rights and type and consecutive
    ///          addresses; would_misconfigure, if the processor has no pages of this size
    [[nodiscard]] std::expected<PendingInvalidation, EditError> merge(
        arch::GuestPhysicalAddress guest, Level level);

    /// Takes execute away from the region that an entry of this level controls, or the larger page
    /// that the address lies in, by one store: before an edit that changes the page's size or its
    /// type, while other processors run the guest. The INVEPT that is pending comes before that
    /// edit, and the edit gives execute back when it replaces that entry.
    ///
    /// Needs    an EPT that is no view: views follow by `sync_with_base`
    /// Returns  not_one_page: nothing is mapped there
    [[nodiscard]] std::expected<PendingInvalidation, EditError> hold_execution(
        arch::GuestPhysicalAddress guest, Level level);
    /// Gives execute back where the edit did not come.
    [[nodiscard]] PendingInvalidation release_execution(arch::GuestPhysicalAddress guest,
                                                        Level level);

    /// Of a view: the page leads where it leads in the base, and tables on the way to it that now
    /// equal those of the base are retired.
    [[nodiscard]] PendingInvalidation restore(arch::GuestPhysicalAddress guest);

    /// Of a view: its own tables take over what an edit has changed in the base; the view's own
    /// pages stay. Takes no table.
    ///
    /// Needs    to be called after each edit of the base, before `flush_done` for that edit
    /// Returns  the invalidation for the view's pointer; it includes the one for shared tables
    [[nodiscard]] PendingInvalidation sync_with_base(const PendingInvalidation& edit_of_base);

    /// All processors have executed the INVEPT that was pending: retired tables become free. Once
    /// for each edit.
    void flush_done(const PendingInvalidation& pending);

    /// Defers the invalidation of one more edit: `pending` comprises both, to be executed together
    /// and reported to `flush_done` as one. Until then no table becomes free.
    void defer(PendingInvalidation& pending, const PendingInvalidation& more);

    /// Explains a guest-physical address.
    [[nodiscard]] Walk walk(arch::GuestPhysicalAddress guest) const;

    /// Counts the pages by looking at each entry of each table: not what was asked for, but what is
    /// there.
    [[nodiscard]] PageCounts count_pages() const;

    /// Writes an entry as it is, wrong or not: for tests and exercises that want a
    /// misconfiguration.
    ///
    /// Needs    a table of this level on the way to the address
    [[nodiscard]] PendingInvalidation write_raw(arch::GuestPhysicalAddress guest, Level level,
                                                Entry entry);

private:
    struct Edit;

    Tables(TablePool& pool, const Limits& limits, Table& root)
        : pool_{&pool}, limits_{limits}, root_{&root} {}

    [[nodiscard]] bool is_view() const { return base_root_ != nullptr; }
    /// The entry, marked as one that differs from the base's on purpose.
    [[nodiscard]] Entry mark_private(Entry entry) const {
        return is_view() ? entry.marked(Entry::Mark::of_view) : entry;
    }
    /// The table that an entry references, of this EPT or of its base; null: of neither.
    [[nodiscard]] const Table* table_at(arch::HostPhysicalAddress physical) const {
        if (pool_->owns(physical)) {
            return &pool_->at(physical);
        }
        return is_view() && base_pool_->owns(physical) ? &base_pool_->at(physical) : nullptr;
    }
    /// Whether the entry references a table of this EPT, which edits may change.
    [[nodiscard]] bool references_own(Level level, Entry entry) const {
        return entry.references_table(level) && pool_->owns(entry.address());
    }
    void count_pages(Level level, const Table& table, PageCounts& counts) const;
    [[nodiscard]] Level largest_allowed(Level wanted) const;
    /// The entry of this level for an address, or the one of a larger page, with its level.
    struct Place {
        Entry& entry;
        Level level;
    };
    [[nodiscard]] Place place_of(arch::GuestPhysicalAddress guest, Level level);

    // Edits: `entry` controls the region of its level that begins at `base`.
    [[nodiscard]] std::expected<PendingInvalidation, EditError> perform(const Edit& edit);
    [[nodiscard]] bool fits_entry(const Edit& edit, Level level, std::uint64_t base,
                                  Entry entry) const;
    [[nodiscard]] bool fills_table(const Edit& edit, Level level, std::uint64_t base,
                                   Entry entry) const;
    [[nodiscard]] bool has_pinned(Level level, Entry entry) const;
    [[nodiscard]] std::size_t tables_needed(const Edit& edit, Level level, std::uint64_t base,
                                            Entry entry) const;
    void apply(const Edit& edit, Level level, std::uint64_t base, Entry& entry);
    [[nodiscard]] Table& table_below(Level level, Entry& entry);
    /// Every change of a used entry: notes whether the edit needs an invalidation, and retires the
    /// table that goes out of use.
    void replace(Level level, Entry& entry, Entry by);
    void retire_below(Level level, Entry entry);
    [[nodiscard]] PendingInvalidation finish_edit();
    void reclaim_if_flushed();

    // A view and its base.
    [[nodiscard]] Entry in_base(Level level, std::uint64_t address) const;
    [[nodiscard]] Entry below_in_base(Level level, Entry entry, std::size_t index) const;
    [[nodiscard]] bool matches_base(Level level, Entry base, const Table& table) const;
    void sync_entry(Level level, Entry& entry, Entry base);

    TablePool* pool_;
    Limits limits_;
    Table* root_;
    const Table* base_root_{};
    const TablePool* base_pool_{};
    bool records_accesses_{};
    bool flush_needed_{};  ///< by the edit that is being made
    arch::ProcessorSet processors_;
    std::size_t unflushed_edits_{};  ///< edits whose invalidation is pending
};

}  // namespace hvp::ept
