// What is owed to the processors after an EPT paging structure has changed, and paying it.
//
// Processors remember translations. After most changes the old one may go on being used, on every
// processor that runs a guest on this EPT, until that processor has executed INVEPT. So each edit
// returns what is owed, and the compiler complains where that is dropped.
// [SDM 3C 28.3.3.4 "Guidelines for Use of the INVEPT Instruction"]
#pragma once

#include <bit>
#include <cstdint>
#include <expected>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/ept/capability.hpp"
#include "hypervisor/ept/entry.hpp"
#include "hypervisor/ept/pointer.hpp"

namespace hvp::ept {

/// A set of logical processors, by their numbers, up to 64.
class ProcessorSet {
public:
    constexpr ProcessorSet() = default;
    [[nodiscard]] static constexpr ProcessorSet only(std::uint32_t processor) {
        return ProcessorSet{1ULL << processor};
    }
    [[nodiscard]] constexpr bool has(std::uint32_t processor) const {
        return (mask_ >> processor & 1) != 0;
    }
    [[nodiscard]] constexpr bool empty() const { return mask_ == 0; }
    [[nodiscard]] constexpr std::uint64_t mask() const { return mask_; }
    [[nodiscard]] constexpr ProcessorSet without(ProcessorSet other) const {
        return ProcessorSet{mask_ & ~other.mask_};
    }
    friend constexpr ProcessorSet operator|(ProcessorSet a, ProcessorSet b) {
        return ProcessorSet{a.mask_ | b.mask_};
    }
    friend constexpr bool operator==(ProcessorSet, ProcessorSet) = default;

private:
    constexpr explicit ProcessorSet(std::uint64_t mask) : mask_{mask} {}
    std::uint64_t mask_{};
};

/// What an edit leaves to be done: INVEPT of the single-context type, with this EPT's pointer in
/// the descriptor, on each of these processors. Nothing, where the set is empty.
struct [[nodiscard]] PendingInvalidation {
    Pointer pointer{};
    ProcessorSet processors{};

    [[nodiscard]] constexpr bool is_nothing() const { return processors.empty(); }
};

/// Whether processors may go on using what `before` said after it has become `after`.
///
/// A processor remembers nothing of an entry that is not present, so filling one owes nothing.
/// Giving more rights owes nothing either: the worst is an EPT violation that need not be, and it
/// forgets the old translation by itself.
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
    refused,        ///< the instruction said VMfail
};

/// Executes what is due on this processor.
///
/// An INVEPT type that the processor lacks makes the instruction fail, and a descriptor that is not
/// an EPT pointer does so, too; who does not look believes that it has happened.
/// Returns  nothing where nothing is due here
/// Where    VMX root operation, on the processor with this number
/// Source   [SDM 3C 30.3 "VMX Instructions"] INVEPT
[[nodiscard]] inline std::expected<void, InvalidationError> invalidate_here(
    const PendingInvalidation& due, std::uint32_t processor, const Capability& capability) {
    if (!due.processors.has(processor)) {
        return {};
    }
    if (capability.invept == 0 || capability.invept_single_context == 0) {
        return std::unexpected{InvalidationError::not_supported};
    }
    if (arch::invept(arch::InveptType::single_context, std::bit_cast<std::uint64_t>(due.pointer)) !=
        arch::VmxResult::succeed) {
        return std::unexpected{InvalidationError::refused};
    }
    return {};
}

}  // namespace hvp::ept
