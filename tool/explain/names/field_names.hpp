// Which field, MSR or fact a name in a dump means.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "hypervisor/vmcs/entry_checks/vmcs_under_test.hpp"

namespace hvp::tool {

/// What a name means, and which half of it: some headers name the two halves of a 64-bit field.
struct NamedItem {
    vmx::checks::Item item;
    bool is_high_half = false;
};

/// Knows the SDM's names, Linux' and Xen's (GUEST_CS_AR_BYTES), those of ia32-doc and its users
/// (VMCS_GUEST_CS_ACCESS_RIGHTS), of Bochs and VirtualBox, and ours, in any spelling:
/// `guestCsBase`, `Guest CS base`, `kGuestCsBase`. MSRs have their names with or without IA32_ and
/// MSR_.
///
/// Returns  nothing for a name that is none of these
[[nodiscard]] std::optional<NamedItem> item_of_name(std::string_view name);

/// Returns  the field with this encoding, also with that of its upper half
[[nodiscard]] std::optional<NamedItem> item_of_encoding(std::uint64_t encoding);

/// Returns  the known name that comes nearest; empty when none does
[[nodiscard]] std::string nearest_name(std::string_view name);

/// Returns  the field of a text that is an encoding: "0x6800", "6800h", "(0x681e)", "6800"; of a
///          short number only if `is_sure` that it is one
[[nodiscard]] std::optional<NamedItem> item_of_encoding_in(std::string_view name, bool is_sure);

/// Returns  what the longest end of the text names that is a known name: what precedes it belongs
/// to the log
[[nodiscard]] std::optional<NamedItem> item_at_end_of(std::string_view text);

}  // namespace hvp::tool
