// One EPT: which guest-physical address leads to which host-physical one, built and changed in a
// pool of table pages that was taken before.
//
// Each edit is one step for a processor that walks at the same time: a table is complete before an
// entry references it, and each entry changes by one store, from what it was to what it becomes.
// So there is no moment in which a page that is mapped before and after is not mapped.
//
// Several EPTs that differ in a few pages share the rest: a *view* is created over a base, begins
// as the same, and has tables of its own only on the way to what it has for itself. A table of the
// base that an edit of the view meets is copied first, and never changed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <utility>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/ept/entry.hpp"
#include "hypervisor/ept/invalidation.hpp"
#include "hypervisor/ept/misconfiguration.hpp"
#include "hypervisor/ept/pointer.hpp"
#include "hypervisor/ept/table_pool.hpp"
#include "hypervisor/ept/walk.hpp"

namespace hvp::ept {

/// Pages in a row of guest-physical addresses, and what they shall lead to.
struct Mapping {
    arch::GuestPhysicalAddress guest{0};
    std::uint64_t bytes{};
    Leaf to{};                         ///< of the first byte; the others follow in a row
    Level largest{Level::page_table};  ///< the largest page that may be used
    bool pinned{};                     ///< maps of the next kind will leave these pages alone
    bool around_pinned{};              ///< leaves pinned pages alone, and flags of unmoved pages
};

/// Why an edit was refused. Then nothing has changed.
enum class EditError : std::uint8_t {
    not_aligned,         ///< an address or a length is not a multiple of 4 KBytes
    out_of_range,        ///< beyond 48 guest-physical bits, or beyond MAXPHYADDR
    would_misconfigure,  ///< the processor would refuse such an entry
    no_table_left,       ///< the pool is used up
    not_one_page,        ///< the 512 parts are not those of one larger page
};

/// Where    everywhere: nothing here executes an instruction. Edits of one EPT by two processors at
///          once are the caller's to prevent.
class Tables {
public:
    /// An EPT that maps nothing.
    ///
    /// Needs    a page in the pool for the PML4 table
    [[nodiscard]] static std::expected<Tables, EditError> create(TablePool& pool,
                                                                 const Limits& limits);
    /// A view: an EPT that maps what `base` maps, with a PML4 table of its own and no other.
    ///
    /// Needs    a pool that the base does not use, no view itself as base, and a base that lives
    ///          longer; who uses the view is to be named to the base as well, by `used_by`, for its
    ///          tables stay in use until that processor has forgotten them
    [[nodiscard]] static std::expected<Tables, EditError> create_over(TablePool& pool,
                                                                      const Tables& base);
    Tables(Tables&& other) noexcept
        : pool_{other.pool_},
          limits_{other.limits_},
          root_{std::exchange(other.root_, nullptr)},
          base_root_{other.base_root_},
          base_pool_{other.base_pool_},
          records_accesses_{other.records_accesses_},
          processors_{other.processors_},
          outstanding_{other.outstanding_} {}
    Tables& operator=(Tables&&) = delete;
    /// Gives every table page back.
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

    /// From now on the processor may remember translations of this EPT: before its first VM entry.
    void used_by(std::uint32_t processor) {
        processors_ = processors_ | ProcessorSet::only(processor);
    }
    /// Never again, and it has executed INVEPT.
    void left_by(std::uint32_t processor) {
        processors_ = processors_.without(ProcessorSet::only(processor));
    }

    /// Maps, whatever was mapped there before; large pages that are only partly meant are split.
    [[nodiscard]] std::expected<PendingInvalidation, EditError> map(const Mapping& mapping);

    /// The same with nothing: tables that become empty are given back.
    [[nodiscard]] std::expected<PendingInvalidation, EditError> unmap(
        arch::GuestPhysicalAddress guest, std::uint64_t bytes);

    /// Cuts the large page that the address lies in, until its page is of this level or smaller.
    /// What is mapped, its rights, its type and its flags stay; but a flag that a processor sets in
    /// the same moment can be lost, here and in `join`.
    [[nodiscard]] std::expected<PendingInvalidation, EditError> split(
        arch::GuestPhysicalAddress guest, Level level);

    /// The opposite: the table of 512 parts below the entry of this level becomes one page again.
    /// It counts as accessed, or dirty, if one of its parts does.
    ///
    /// Returns  not_one_page, unless all parts have the same rights and type and lie in a row;
    ///          would_misconfigure, if the processor has no pages of this size
    [[nodiscard]] std::expected<PendingInvalidation, EditError> join(
        arch::GuestPhysicalAddress guest, Level level);

    /// Of a view: the page becomes what it is in the base, and tables on the way to it that say
    /// nothing of their own any more are given back for those of the base.
    [[nodiscard]] PendingInvalidation restore(arch::GuestPhysicalAddress guest);

    /// Of a view: its own tables take over what an edit has changed in the base; pages that the
    /// view has for itself stay. Takes no table.
    ///
    /// Needs    to follow each edit of the base, before that edit is `completed`
    /// Returns  what is due for the view's pointer; it includes what is owed for shared tables
    [[nodiscard]] PendingInvalidation follow(const PendingInvalidation& edit_of_base);

    /// What is due has been done, by all processors: tables that went out of use become free. Once
    /// for each edit.
    void completed(const PendingInvalidation& due);

    /// Adds what one more edit owes to what is owed already: both are paid together, and are
    /// `completed` as one. Until then the first one stays outstanding, so that no table becomes
    /// free too early.
    void merge(PendingInvalidation& owed, const PendingInvalidation& due);

    /// Explains a guest-physical address.
    [[nodiscard]] Walk walk(arch::GuestPhysicalAddress guest) const;

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
    /// The entry, marked as one that is not the base's.
    [[nodiscard]] Entry ours(Entry entry) const {
        return is_view() ? entry.marked(Entry::Mark::own) : entry;
    }
    /// The table that an entry references, ours or the base's; null: it is neither's.
    [[nodiscard]] const Table* table_at(arch::HostPhysicalAddress physical) const;
    /// Whether the entry references a table that we may change.
    [[nodiscard]] bool references_own(Level level, Entry entry) const {
        return entry.references_table(level) && pool_->owns(entry.address());
    }
    [[nodiscard]] Level largest_allowed(Level wanted) const;
    [[nodiscard]] std::expected<PendingInvalidation, EditError> perform(const Edit& edit);
    [[nodiscard]] bool fits_entry(const Edit& edit, Level level, std::uint64_t base,
                                  Entry entry) const;
    [[nodiscard]] bool fills_table(const Edit& edit, Level level, std::uint64_t base,
                                   Entry entry) const;
    [[nodiscard]] bool has_pinned(Level level, Entry entry) const;
    [[nodiscard]] std::size_t tables_needed(const Edit& edit, Level level, std::uint64_t base,
                                            Entry entry) const;
    void apply(const Edit& edit, Level level, std::uint64_t base, Entry& entry, bool& due);
    [[nodiscard]] Table& table_below(Level level, Entry& entry, bool& due);
    void replace(Level level, Entry& entry, Entry by, bool& due);
    void retire_below(Level level, Entry entry);
    [[nodiscard]] Entry in_base(Level level, std::uint64_t address) const;
    [[nodiscard]] Entry below_in_base(Level level, Entry entry, std::size_t index) const;
    [[nodiscard]] bool is_as_in_base(Level level, Entry base, const Table& table) const;
    void follow_at(Level level, Entry& entry, Entry base, bool& due);
    [[nodiscard]] PendingInvalidation owe(bool due);
    void reclaim_if_forgotten();

    TablePool* pool_;
    Limits limits_;
    Table* root_;
    const Table* base_root_{};
    const TablePool* base_pool_{};
    bool records_accesses_{};
    ProcessorSet processors_;
    std::size_t outstanding_{};  ///< edits whose invalidation is not completed
};

}  // namespace hvp::ept
