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

/// Whether a line of such a dump has no field in it: its first one, which names an address and a
/// processor, and the lists of MSRs, whose place in memory is not told.
[[nodiscard]] bool is_without_fields(std::string_view line);

}  // namespace hvp::tool
