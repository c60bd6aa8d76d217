// The rules on the guest's page-directory-pointer-table entries, in words.
#pragma once

#include "hypervisor/vmcs/names/rule_texts/rule_text.hpp"

namespace hvp::vmx::checks {

/// For one of the four entries.
inline constexpr auto pdpte_texts = std::to_array<RuleText>({
    {"guest-pdpte{}-field",
     "With PAE paging and \"enable EPT\", the guest PDPTE{} has no reserved bits, if it is "
     "present.",
     "Bits 2:1, 8:5 and those beyond the physical-address width are 0. Load the fields from "
     "the guest's memory whenever its CR3 changes under PAE paging."},
    {"guest-pdpte{}-memory",
     "With PAE paging and without EPT, entry {} of the table at the guest CR3 has no "
     "reserved bits, if it is present.",
     "Bits 2:1, 8:5 and those beyond the physical-address width are 0. A 64-bit "
     "guest's CR3 without \"IA-32e mode guest\" looks like this, too."},
});

inline constexpr auto guest_pdpte_texts = repeated<4>(pdpte_texts);

}  // namespace hvp::vmx::checks
