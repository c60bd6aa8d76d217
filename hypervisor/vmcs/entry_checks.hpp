// Every rule that VM entry checks, in one table.
//
// "VM entry failed" has two forms and some three hundred reasons. Where the basic checks or those
// on controls and host state fail, VMLAUNCH and VMRESUME return with VMfail; where those on the
// guest state or the loading of MSRs fail, there is a VM exit with bit 31 of the reason set. The
// processor does not report which rule it was. `examine` does: it checks all rules of this table
// against the current VMCS or an image of one.
//
// The order of the groups is the processor's: 26.1, 26.2, 26.3, 26.4. Within a group the SDM leaves
// the order open, so another processor may find another rule first.
// [SDM 3C 26.2 "Checks on VMX Controls and Host-State Area"],
// [SDM 3C 26.3.1 "Checks on the Guest State Area"]
//
// The table has predicates only; what each rule says in words is in vmcs/names/rule_texts.hpp. The
// stages' drivers have no part of either: they report the fields, and the tool explains them.
#pragma once

#include "hypervisor/vmcs/entry_checks/basic_checks.hpp"
#include "hypervisor/vmcs/entry_checks/entry_controls.hpp"
#include "hypervisor/vmcs/entry_checks/execution_controls.hpp"
#include "hypervisor/vmcs/entry_checks/exit_controls.hpp"
#include "hypervisor/vmcs/entry_checks/guest_non_register.hpp"
#include "hypervisor/vmcs/entry_checks/guest_pdptes.hpp"
#include "hypervisor/vmcs/entry_checks/guest_registers.hpp"
#include "hypervisor/vmcs/entry_checks/guest_rip.hpp"
#include "hypervisor/vmcs/entry_checks/guest_segments.hpp"
#include "hypervisor/vmcs/entry_checks/host_state.hpp"
#include "hypervisor/vmcs/entry_checks/msr_loading.hpp"

namespace hvp::vmx::checks {

/// All rules, in the SDM's order.
inline constexpr auto all_rules =
    joined(basic_rules, execution_rules, exit_rules, entry_rules, host_rules, host_segment_rules,
           size_rules, guest_register_rules, guest_segment_rules, guest_table_rules,
           guest_rip_rules, guest_non_register_rules, guest_pdpte_rules, msr_rules);

/// Checks every rule. `sink(rule, answer, missing)` gets those that are broken, with an empty
/// `missing`, and those that cannot be decided because something is not known, with what that is.
template <VmcsFields V, ProcessorFacts P, typename Sink>
void examine(const V& vmcs, const P& processor, Sink&& sink) {
    for (const EntryRule& rule : all_rules) {
        VmcsUnderTest x{vmcs, processor};
        const CheckResult answer = rule.check(x);
        if (!x.missing().empty() || answer.broken) {
            sink(rule, answer, x.missing());
        }
    }
}

}  // namespace hvp::vmx::checks
