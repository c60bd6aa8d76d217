// What a value means: the bits and parts of fields, MSRs, exit reasons and EPT entries, in words.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "hypervisor/vmcs/entry_checks/vmcs_under_test.hpp"
#include "hypervisor/vmcs/names/bit_names.hpp"
#include "hypervisor/vmcs/names/field_names.hpp"

namespace hvp::tool {

/// `PE MP ET NE WP AM PG`; bits without a name come last, as numbers.
[[nodiscard]] std::string bit_words(std::span<const vmx::BitName> names, std::uint64_t value);

/// The names of a word of switches; none for other shapes.
[[nodiscard]] std::span<const vmx::BitName> names_of_bits(vmx::Shape shape);

/// What a value of this shape says; empty where a number is all there is.
[[nodiscard]] std::string value_words(vmx::Shape shape, std::uint64_t value);

/// What a rule's item holds, in words; empty where a number is all there is.
[[nodiscard]] std::string item_words(vmx::checks::Item item, std::uint64_t value);

/// How the value of an item is read.
[[nodiscard]] vmx::Shape shape_of(vmx::checks::Item item);

/// `64-bit code, accessed, readable; DPL 0; present`
[[nodiscard]] std::string access_rights_words(std::uint32_t rights);

/// `hardware exception, vector 13 (#GP), with error code`
[[nodiscard]] std::string interruption_words(std::uint32_t information);

/// An EPT entry as each of the four levels would read it.
[[nodiscard]] std::string ept_entry_words(std::uint64_t entry);

/// `bits 7:0`, `bits 1, 2 and 4`
[[nodiscard]] std::string bit_numbers(std::uint64_t bits);

/// Bits of an item with their names, where they have some: `bit 13 (VMXE)`
[[nodiscard]] std::string named_bits(vmx::checks::Item item, std::uint64_t bits);

}  // namespace hvp::tool
