// Every rule of VM entry in words: one text for each rule, in the same order.
//
// The rules themselves are in hypervisor/vmcs/entry_checks, without texts, so that a driver can
// carry them. Only the host's tool and the tests include this.
#pragma once

#include <string_view>

#include "hypervisor/vmcs/entry_checks.hpp"
#include "hypervisor/vmcs/names/rule_texts/basic_checks.hpp"
#include "hypervisor/vmcs/names/rule_texts/entry_controls.hpp"
#include "hypervisor/vmcs/names/rule_texts/execution_controls.hpp"
#include "hypervisor/vmcs/names/rule_texts/exit_controls.hpp"
#include "hypervisor/vmcs/names/rule_texts/guest_non_register.hpp"
#include "hypervisor/vmcs/names/rule_texts/guest_pdptes.hpp"
#include "hypervisor/vmcs/names/rule_texts/guest_registers.hpp"
#include "hypervisor/vmcs/names/rule_texts/guest_rip.hpp"
#include "hypervisor/vmcs/names/rule_texts/guest_segments.hpp"
#include "hypervisor/vmcs/names/rule_texts/host_state.hpp"
#include "hypervisor/vmcs/names/rule_texts/msr_loading.hpp"

namespace hvp::vmx::checks {

/// The texts of `all_rules`.
inline constexpr auto all_texts =
    joined(basic_texts, execution_texts, exit_texts, entry_texts, host_texts, host_segment_texts,
           size_texts, guest_register_texts, guest_segment_texts, guest_table_texts,
           guest_rip_texts, guest_non_register_texts, guest_pdpte_texts, msr_texts);

/// Each rule has its text, and each text its rule.
consteval bool texts_are_of(const auto& rules, const auto& texts) {
    return std::ranges::equal(
        rules, texts, {}, [](const EntryRule& rule) { return std::string_view{rule.id}; },
        [](const RuleText& text) { return std::string_view{text.id}; });
}
static_assert(texts_are_of(all_rules, all_texts));

/// Needs    `rule`: one of `all_rules`
[[nodiscard]] constexpr const RuleText& text_of(const EntryRule& rule) {
    return all_texts[static_cast<std::size_t>(&rule - all_rules.data())];
}

}  // namespace hvp::vmx::checks
