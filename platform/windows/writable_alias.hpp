// A second mapping of memory of our own, through which it can be written.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include "platform/windows/irql.hpp"

namespace hvp::windows {

/// Code and constants are mapped read-only. What changes them all the same needs a mapping of its
/// own: to clear CR0.WP instead is impossible where CR4.CET is 1, and lets every mistake of an
/// interrupt handler write as well.  [SDM 3A 2.5 "Control Registers"]
///
/// The pages are locked until the destructor has ended the mapping, at PASSIVE_LEVEL.
class WritableAlias {
public:
    /// Needs    memory of this driver's image, or any that is locked or not pageable
    /// Returns  Nothing if Windows cannot lock or map it
    /// Source   [Windows: MmProbeAndLockPages], [Windows: MmMapLockedPagesSpecifyCache],
    ///          [Windows: MmProtectMdlSystemAddress]. Not MmBuildMdlForNonPagedPool: what such an
    ///          MDL describes must not be mapped again.
    [[nodiscard]] static std::optional<WritableAlias> map(const AtPassiveLevel&,
                                                          const volatile void* memory,
                                                          std::size_t bytes);

    WritableAlias(WritableAlias&& other) noexcept
        : mdl_{std::exchange(other.mdl_, nullptr)}, start_{other.start_} {}
    WritableAlias(const WritableAlias&) = delete;
    WritableAlias& operator=(const WritableAlias&) = delete;
    WritableAlias& operator=(WritableAlias&&) = delete;
    ~WritableAlias();

    /// Where the first byte of the memory is mapped.
    [[nodiscard]] void* start() const { return start_; }

private:
    explicit WritableAlias(void* mdl) : mdl_{mdl} {}

    void* mdl_;      ///< an MDL, which this header need not know
    void* start_{};  ///< null: locked, but not mapped
};

}  // namespace hvp::windows
