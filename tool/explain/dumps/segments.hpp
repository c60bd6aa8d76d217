// Segment registers in dumps: whole, in parts, or as one line with the values in an order that the
// printing program has.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tool/explain/dumps/image_builder.hpp"

namespace hvp::tool {

/// Whose state a register in a dump is.
enum class Side : std::uint8_t { guest, host };

/// The fields of a segment register; 0 where there is none.
struct SegmentFields {
    std::uint32_t selector;
    std::uint32_t rights;
    std::uint32_t limit;
    std::uint32_t base;
};

/// Returns  the fields of a segment register: `CS`, `ldtr`, `LDT`, `GDTR`, `gdt`
[[nodiscard]] std::optional<SegmentFields> segment_fields(std::string_view name, Side side);

/// The parts of access rights that some programs print one by one.
/// [SDM 3C 24.4.1 "Guest Register State", Table 24-2]
class SegmentParts {
public:
    /// Takes one part: `type`, `dpl`, `base`, `Access-Rights`.
    ///
    /// Returns  whether it is one
    bool take(std::string_view key, const WrittenNumber& number);
    /// Takes access rights that may be packed: with bits 19:16 of the limit in bits 11:8, as they
    /// stand in a descriptor, or with AVL, L, D/B and G there. The structures of wtf's registers,
    /// which a debugger has made, have them so.
    void take_packed_rights(const WrittenNumber& number);
    /// Sets the fields of all parts that were taken, and forgets them.
    void give(const SegmentFields& fields, ImageBuilder& builder);
    [[nodiscard]] bool is_empty() const;

private:
    [[nodiscard]] std::uint64_t unpacked_rights() const;

    std::optional<WrittenNumber> selector_;
    std::optional<WrittenNumber> limit_;
    std::optional<WrittenNumber> base_;
    std::optional<WrittenNumber> rights_;
    bool may_be_packed_ = false;
    std::uint64_t bits_ = 0;   ///< rights that were given bit by bit
    unsigned bits_taken_ = 0;  ///< how many of them
};

/// Reads a line that is one segment register with its values in order: Xen's
/// `CS: 0008 0a099 ffffffff 0`, QEMU's `CS =0008 0 ffffffff 00a09b00`, bhyve's
/// `ds desc[1] base/limit/rights`, kvmtool's table.
///
/// Returns  whether it is one
bool read_segment_in_order(std::string_view line, ImageBuilder& builder);

}  // namespace hvp::tool
