// Snippets of code in real-address mode and in virtual-8086 mode, on a processor that is in long
// mode before and after. For the lab: real Windows may send an NMI meanwhile, which would find no
// IDT of Windows'.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "hypervisor/arch/processor_state.hpp"
#include "platform/windows/nt.hpp"

namespace hvp::tests {

enum class LowMode : std::uint8_t { real_address, virtual_8086 };

/// How a snippet of code starts.
struct LowStart {
    std::span<const std::uint8_t> code;
    bool at_end_of_segment;  ///< its last byte has the offset FFFFh
    std::uint32_t flags;
    std::uint32_t eax;
    std::uint32_t ecx;
};

/// What its handler found.
struct LowFound {
    std::uint32_t vector;
    std::uint32_t bytes;  ///< that were pushed
    std::uint32_t error_code;
    bool has_error_code;
    std::uint32_t ip, cs, flags;
    std::uint32_t sp, ss;               ///< virtual-8086 mode only, …
    std::array<std::uint32_t, 4> data;  ///< … and ES, DS, FS, GS

    friend bool operator==(const LowFound&, const LowFound&) = default;
};

/// The code, the tables and the stacks, in memory below 1 MiB.
class LowModes {
public:
    /// Returns  nothing, if there is no such memory
    /// Where    PASSIVE_LEVEL
    [[nodiscard]] static std::optional<LowModes> take();
    LowModes(LowModes&& other) noexcept : block_{other.block_}, base_{other.base_} {
        other.block_ = nullptr;
    }
    LowModes& operator=(LowModes&&) = delete;
    ~LowModes();

    /// Leaves long mode, executes the snippet, and comes back at its first event. IDTR, GDTR and TR
    /// are others then, and so are the segment registers: `load_tables` and `restore_selectors`.
    ///
    /// Where    interrupts off, on page tables that map the first 2 MBytes to themselves
    [[nodiscard]] LowFound run(LowMode mode, const LowStart& start,
                               const arch::ProcessorState& windows) const;

private:
    struct Block;
    LowModes(Block* block, std::uint32_t base) : block_{block}, base_{base} {}

    Block* block_;
    std::uint32_t base_;  ///< where it is in physical memory
};

}  // namespace hvp::tests
