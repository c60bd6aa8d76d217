// Checks that the guest state, the host state and the loaded MSRs have in common: control
// registers, IA32_PAT, IA32_EFER, the state of control-flow enforcement.
#pragma once

#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"

namespace hvp::vmx::checks {

/// Each byte of IA32_PAT is one of the memory types 0, 1, 4, 5, 6 and 7.
[[nodiscard]] constexpr std::uint64_t wrong_pat_bytes(std::uint64_t pat) {
    std::uint64_t wrong = 0;
    for (unsigned byte = 0; byte < 8; ++byte) {
        const std::uint64_t type = pat >> 8 * byte & 0xFF;
        if (type > 7 || type == 2 || type == 3) {
            wrong |= 0xFFULL << 8 * byte;
        }
    }
    return wrong;
}

/// All bits of IA32_EFER but SCE, LME, LMA and NXE.
/// [SDM 3A 2.2.1 "Extended Feature Enable Register"]
inline constexpr std::uint64_t efer_reserved = ~(bit(0) | bit(8) | bit(10) | bit(11));

/// NW and CD of CR0 are not checked: neither VM entry nor VM exit changes them.
inline constexpr std::uint64_t cr0_unchecked = bits(30, 29);

/// Bits of a control register that VMX operation requires to be 1, and that are 0.
/// [SDM 3C 23.8 "Restrictions on VMX Operation"]
template <auto field, Msr fixed0, std::uint64_t unchecked>
[[nodiscard]] CheckResult fixed_to_1(VmcsUnderTest& x) {
    return broken_by(x.raw(item(fixed0)) & ~x.raw(field) & ~unchecked);
}
/// Bits that it requires to be 0, and that are 1.
template <auto field, Msr fixed1, std::uint64_t unchecked>
[[nodiscard]] CheckResult fixed_to_0(VmcsUnderTest& x) {
    return broken_by(x.raw(field) & ~x.raw(item(fixed1)) & ~unchecked);
}

/// CR3 is a physical address: nothing in bits 63:52, and nothing that the processor lacks.
template <auto field>
[[nodiscard]] CheckResult cr3_within_width(VmcsUnderTest& x) {
    if (!x.is(Fact::has_intel_64)) {
        return holds;
    }
    const std::uint64_t width = x.raw(item(Fact::physical_address_bits));
    const std::uint64_t cr3 = x.raw(field);
    return broken_by((width < 64 ? cr3 >> width << width : 0) | (cr3 & bits(63, 52)));
}

/// [SDM 3A 18.2.2 "Architectural Performance Monitoring Version 2"], figure 18-3
template <auto control, auto field>
[[nodiscard]] CheckResult perf_global_ctrl_reserved(VmcsUnderTest& x) {
    return x.has(control) ? broken_by(x.raw(field) & ~x.raw(item(Fact::perf_global_ctrl_mask)))
                          : holds;
}

template <auto control, auto field>
[[nodiscard]] CheckResult pat_types(VmcsUnderTest& x) {
    return x.has(control) ? broken_by(wrong_pat_bytes(x.raw(field))) : holds;
}

/// Bits of IA32_S_CET that are reserved, and SUPPRESS with TRACKER, which exclude each other.
/// From the December 2022 edition; Bochs 2.7 checks the same bits.
[[nodiscard]] constexpr std::uint64_t wrong_s_cet_bits(std::uint64_t value) {
    constexpr std::uint64_t suppress_and_tracker = bits(11, 10);
    const bool both = (value & suppress_and_tracker) == suppress_and_tracker;
    return (value & bits(9, 6)) | (both ? suppress_and_tracker : 0);
}
template <auto control, auto field>
[[nodiscard]] CheckResult s_cet_valid(VmcsUnderTest& x) {
    if (!x.has(control)) {
        return holds;
    }
    const std::uint64_t value = x.raw(field);
    const std::uint64_t wrong = wrong_s_cet_bits(value);
    return {.broken = wrong != 0 || !x.is_canonical(value & ~bits(11, 0)), .wrong_bits = wrong};
}
template <auto control, auto field>
[[nodiscard]] CheckResult ssp_valid(VmcsUnderTest& x) {
    if (!x.has(control)) {
        return holds;
    }
    const std::uint64_t value = x.raw(field);
    return {.broken = (value & bits(1, 0)) != 0 || !x.is_canonical(value),
            .wrong_bits = value & bits(1, 0)};
}
template <auto cr0, auto cr4>
[[nodiscard]] CheckResult cet_needs_wp(VmcsUnderTest& x) {
    return broken_if(x.read(cr4).has(arch::Cr4::control_flow_enforcement) &&
                     !x.read(cr0).has(arch::Cr0::write_protect));
}

}  // namespace hvp::vmx::checks
