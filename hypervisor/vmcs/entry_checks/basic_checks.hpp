// The first checks: may VM entry be executed here and now at all?
// [SDM 3C 26.1 "Basic VM-Entry Checks"]
#pragma once

#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"

namespace hvp::vmx::checks {

inline constexpr Citation section_basic{"3C", "26.1", "Basic VM-Entry Checks"};

inline constexpr auto basic_rules = std::to_array<EntryRule>({
    {"basic-mode", &section_basic,
     [](VmcsUnderTest& x) { return broken_if(x.is(Fact::outside_64_bit_mode)); },
     fields(Fact::outside_64_bit_mode)},
    {"basic-cpl", &section_basic,
     [](VmcsUnderTest& x) { return broken_if(x.raw(item(Fact::privilege_level)) != 0); },
     fields(Fact::privilege_level)},
    {"basic-current-vmcs", &section_basic,
     [](VmcsUnderTest& x) { return broken_if(!x.is(Fact::has_current_vmcs)); },
     fields(Fact::has_current_vmcs)},
    {"basic-not-shadow", &section_basic,
     [](VmcsUnderTest& x) {
         return broken_if(x.is(Fact::has_current_vmcs) && x.is(Fact::current_vmcs_is_shadow));
     },
     fields(Fact::current_vmcs_is_shadow)},
    {"basic-mov-ss", &section_basic,
     [](VmcsUnderTest& x) { return broken_if(x.is(Fact::blocking_by_mov_ss)); },
     fields(Fact::blocking_by_mov_ss, vm_instruction_error)},
    {"basic-vmlaunch-clear", &section_basic,
     [](VmcsUnderTest& x) {
         return broken_if(!x.is(Fact::by_vmresume) && x.is(Fact::is_launched));
     },
     fields(Fact::is_launched, vm_instruction_error)},
    {"basic-vmresume-launched", &section_basic,
     [](VmcsUnderTest& x) {
         return broken_if(x.is(Fact::by_vmresume) && !x.is(Fact::is_launched));
     },
     fields(Fact::is_launched, vm_instruction_error)},
});

}  // namespace hvp::vmx::checks
