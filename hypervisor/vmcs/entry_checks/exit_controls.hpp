// The rules for the VM-exit control fields.  [SDM 3C 26.2.1.2 "VM-Exit Control Fields"]
#pragma once

#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_exit{"3C", "26.2.1.2", "VM-Exit Control Fields"};

inline constexpr auto exit_rules = std::to_array<EntryRule>({
    {"exit-must-be-1", &section_exit,
     ones_as_demanded<exit_controls, Msr::vmx_exit_ctls, Msr::vmx_true_exit_ctls>,
     fields(exit_controls, Msr::vmx_true_exit_ctls)},
    {"exit-must-be-0", &section_exit,
     no_others<exit_controls, Msr::vmx_exit_ctls, Msr::vmx_true_exit_ctls>,
     fields(exit_controls, Msr::vmx_true_exit_ctls)},
    {"exit-save-timer-needs-timer", &section_exit,
     needs<ExitControl::save_preemption_timer_value, Pin::activate_preemption_timer>,
     fields(exit_controls, pin_based_controls)},
    {"exit-msr-store-aligned", &section_exit,
     clear<has_entries<exit_msr_store_count>, exit_msr_store_address, bits(3, 0)>,
     fields(exit_msr_store_address, exit_msr_store_count)},
    {"exit-msr-store-width", &section_exit,
     within_width<has_entries<exit_msr_store_count>, exit_msr_store_address>,
     fields(exit_msr_store_address, exit_msr_store_count)},
    {"exit-msr-store-end", &section_exit,
     last_byte_within_width<exit_msr_store_count, exit_msr_store_address>,
     fields(exit_msr_store_count, exit_msr_store_address)},
    {"exit-msr-load-aligned", &section_exit,
     clear<has_entries<exit_msr_load_count>, exit_msr_load_address, bits(3, 0)>,
     fields(exit_msr_load_address, exit_msr_load_count)},
    {"exit-msr-load-width", &section_exit,
     within_width<has_entries<exit_msr_load_count>, exit_msr_load_address>,
     fields(exit_msr_load_address, exit_msr_load_count)},
    {"exit-msr-load-end", &section_exit,
     last_byte_within_width<exit_msr_load_count, exit_msr_load_address>,
     fields(exit_msr_load_count, exit_msr_load_address)},
});

}  // namespace hvp::vmx::checks
