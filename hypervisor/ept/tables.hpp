// One EPT: which guest-physical address leads to which host-physical one, built and changed in a
// pool of table pages that was taken before.
//
// Each edit is one step for a processor that walks at the same time: a table is complete before an
// entry references it, and each entry changes by one store, from what it was to what it becomes.
// So there is no moment in which a page that is mapped before and after is not mapped.
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
};

/// Why an edit was refused. Then nothing has changed.
enum class EditError : std::uint8_t {
    not_aligned,         ///< an address or a length is not a multiple of 4 KBytes
    out_of_range,        ///< beyond 48 guest-physical bits, or beyond MAXPHYADDR
    would_misconfigure,  ///< the processor would refuse such an entry
    no_table_left,       ///< the pool is used up
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
    Tables(Tables&& other) noexcept
        : pool_{other.pool_},
          limits_{other.limits_},
          root_{std::exchange(other.root_, nullptr)},
          processors_{other.processors_},
          outstanding_{other.outstanding_} {}
    Tables& operator=(Tables&&) = delete;
    /// Gives every table page back.
    ///
    /// Where    no processor uses this EPT any more, and none will before it has executed INVEPT
    ~Tables();

    /// For the VMCS.
    [[nodiscard]] Pointer pointer() const { return pointer_to(pool_->physical_of(*root_)); }

    /// From now on the processor may remember translations of this EPT: before its first VM entry.
    void used_by(std::uint32_t processor) {
        processors_ = processors_ | ProcessorSet::only(processor);
    }
    /// Never again, and it has executed INVEPT.
    void left_by(std::uint32_t processor) {
        processors_ = processors_.without(ProcessorSet::only(processor));
    }

    /// Maps, whatever was mapped there before; large pages that are only partly meant are split.
    [[nodiscard]] std::expected<InvalidationDue, EditError> map(const Mapping& mapping);

    /// The same with nothing: tables that become empty are given back.
    [[nodiscard]] std::expected<InvalidationDue, EditError> unmap(arch::GuestPhysicalAddress guest,
                                                                  std::uint64_t bytes);

    /// What is due has been done, by all processors: tables that went out of use become free. Once
    /// for each edit.
    void completed(const InvalidationDue& due);

    /// Explains a guest-physical address.
    [[nodiscard]] Walk walk(arch::GuestPhysicalAddress guest) const;

    /// Writes an entry as it is, wrong or not: for tests and exercises that want a
    /// misconfiguration.
    ///
    /// Needs    a table of this level on the way to the address
    [[nodiscard]] InvalidationDue write_raw(arch::GuestPhysicalAddress guest, Level level,
                                            Entry entry);

private:
    struct Edit;

    Tables(TablePool& pool, const Limits& limits, Table& root)
        : pool_{&pool}, limits_{limits}, root_{&root} {}

    [[nodiscard]] std::expected<InvalidationDue, EditError> perform(const Edit& edit);
    [[nodiscard]] std::size_t tables_needed(const Edit& edit, Level level, std::uint64_t base,
                                            Entry entry) const;
    void apply(const Edit& edit, Level level, std::uint64_t base, Entry& entry, bool& due);
    [[nodiscard]] Table& split(Level level, Entry& entry, bool& due);
    void replace(Level level, Entry& entry, Entry by, bool& due);
    void retire_below(Level level, Entry entry);
    [[nodiscard]] InvalidationDue owe(bool due);
    void reclaim_if_forgotten();

    TablePool* pool_;
    Limits limits_;
    Table* root_;
    ProcessorSet processors_;
    std::size_t outstanding_{};  ///< edits whose invalidation is not completed
};

}  // namespace hvp::ept
