// The rules of VM entry in words: what tool, documentation and reports call them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hypervisor/vmcs/entry_checks.hpp"

namespace hvp::tool {

using vmx::checks::EntryRule;
using vmx::checks::Item;

/// How many rules there are.
inline constexpr std::size_t rule_count = vmx::checks::all_rules.size();

/// `guest-tr-type`
[[nodiscard]] std::string rule_id(const EntryRule& rule);
[[nodiscard]] std::string rule_sentence(const EntryRule& rule);
[[nodiscard]] std::string rule_remedy(const EntryRule& rule);

/// `[SDM 3C 26.3.1.2 "Checks on Guest Segment Registers"; 2022: 27.3.1.2]`; for a rule that our edition
/// lacks it says so.
[[nodiscard]] std::string rule_citation(const EntryRule& rule);

/// `Guest CR0`, `IA32_VMX_BASIC`, `the launch state`, `the memory at 0x1000`
[[nodiscard]] std::string item_name(Item item);

/// `Guest CR0 (6800H)`, `IA32_VMX_BASIC (480H)`
[[nodiscard]] std::string item_name_with_number(Item item);

/// Returns  the rules with this section (or a section in it), or with this word in their
///          identifier, sentence, remedy or the names of their fields
[[nodiscard]] std::vector<const EntryRule*> rules_matching(std::string_view word);

/// Returns  text in lines of at most `width` columns, each after `indent` blanks
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t indent, std::size_t width);

/// Returns  all rules as one page of Markdown
[[nodiscard]] std::string rules_page();

}  // namespace hvp::tool
