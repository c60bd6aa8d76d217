// The INVEPT that is pending after a change of an EPT paging structure, and executing it.
//
// Processors cache translations. After most changes the old one may go on being used, on every
// processor that runs a guest on this EPT, until that processor has executed INVEPT. To make all of
// them do so is a *TLB shootdown*. So each edit returns the invalidation that is pending; it can be
// executed at once or deferred, and the compiler warns where it is dropped.
// [SDM 3C 28.3.3.4 "Guidelines for Use of the INVEPT Instruction"]
#pragma once

#include <bit>
#include <cstdint>
#include <expected>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/processor_set.hpp"
#include "hypervisor/ept/capability.hpp"
#include "hypervisor/ept/entry.hpp"
#include "hypervisor/ept/pointer.hpp"

namespace hvp::ept {

/// What an edit leaves to be done: INVEPT of the single-context type, with this EPT's pointer in
/// the descriptor, on each of these processors. Nothing, where the set is empty.
struct [[nodiscard]] PendingInvalidation {
    Pointer pointer{};
    arch::ProcessorSet processors{};

    [[nodiscard]] constexpr bool empty() const { return processors.empty(); }
};

/// Whether processors may go on using `before` after the entry has become `after`.
///
/// A processor caches nothing of an entry that is not present, so filling one needs no INVEPT. More
/// rights need none either: at worst there is one EPT violation that need not be, and it removes
/// the old translation from that processor.
/// Source   [SDM 3C 28.3.3.4 "Guidelines for Use of the INVEPT Instruction"]
[[nodiscard]] constexpr bool needs_invalidation(Level level, Entry before, Entry after) {
    if (!before.is_present()) {
        return false;
    }
    constexpr std::uint64_t accessed = 1U << 8;
    constexpr std::uint64_t dirty = 1U << 9;
    constexpr std::uint64_t rights = 7;
    const bool maps = before.maps_page(level);
    const std::uint64_t cleared = before.raw() & ~after.raw();
    return (cleared & (rights | accessed)) != 0 || before.address() != after.address() ||
           maps != after.maps_page(level) ||
           (maps &&
            ((cleared & dirty) != 0 || before.memory_type_bits() != after.memory_type_bits() ||
             before.ignores_pat() != after.ignores_pat()));
}

/// Why an invalidation was not carried out.
enum class InvalidationError : std::uint8_t {
    not_supported,  ///< this processor has no INVEPT, or not its single-context type
    refused,        ///< the instruction returned VMfail
};

/// Executes INVEPT if it is pending on this processor.
///
/// INVEPT fails with a type that the processor lacks, and with a descriptor that is not an EPT
/// pointer. A VMM that does not check believes that the invalidation has happened.
/// Where    VMX root operation, on the processor with this number
/// Source   [SDM 3C 30.3 "VMX Instructions"] INVEPT
[[nodiscard]] inline std::expected<void, InvalidationError> invalidate_here(
    const PendingInvalidation& pending, std::uint32_t processor, const Capability& capability) {
    if (!pending.processors.has(processor)) {
        return {};
    }
    if (capability.invept == 0 || capability.invept_single_context == 0) {
        return std::unexpected{InvalidationError::not_supported};
    }
    if (arch::invept(arch::InveptType::single_context,
                     std::bit_cast<std::uint64_t>(pending.pointer)) != arch::VmxResult::succeed) {
        return std::unexpected{InvalidationError::refused};
    }
    return {};
}

}  // namespace hvp::ept
