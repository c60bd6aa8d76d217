// The names in the dumps of a VMCS that KVM and Xen print, which mean different fields in their
// parts "Guest State", "Host State" and "Control State".
//
// KVM: dump_vmcs() in arch/x86/kvm/vmx/vmx.c; Xen: vmcs_dump_vcpu() in xen/arch/x86/hvm/vmx/vmcs.c.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hvp::tool {

/// The part of such a dump in which a line is.
enum class DumpPart : std::uint8_t { none, guest, host, controls };

/// Returns  the part that a heading opens: `*** Guest State ***`
[[nodiscard]] std::optional<DumpPart> part_of_heading(std::string_view line);

/// Returns  the encoding of the field that `name` means in this part; case and blanks do not matter
[[nodiscard]] std::optional<std::uint32_t> encoding_in_part(DumpPart part, std::string_view name);

/// The row of a segment register in such a dump: `CS:`, `LDTR:`, `GDTR:`.
struct SegmentRow {
    std::uint32_t selector;  ///< encodings; 0 where there is none
    std::uint32_t rights;
    std::uint32_t limit;
    std::uint32_t base;
};
[[nodiscard]] std::optional<SegmentRow> segment_row(std::string_view name);

}  // namespace hvp::tool
