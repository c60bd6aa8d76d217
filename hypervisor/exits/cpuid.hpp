// CPUID: the processor's answer, but for what is different in a guest.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "hypervisor/arch/cpuid.hpp"
#include "hypervisor/vcpu/exit.hpp"
#include "hypervisor/vmx/guest_instructions.hpp"

namespace hvp::vmx {

/// What a guest finds that asks for its VMM.
///
/// 40000000H and up are left to VMMs by convention. 40000001H's EAX names the interface; "Hv#1"
/// would be Microsoft's, and Windows would start to use it.
/// [Windows: Hypervisor Top Level Functional Specification]
inline constexpr std::uint32_t first_vmm_leaf = 0x4000'0000;
inline constexpr std::uint32_t last_vmm_leaf = 0x4000'0001;
inline constexpr arch::CpuidRegisters vmm_identity{
    .rax = last_vmm_leaf, .rbx = 0x6C50'5648, .rcx = 0x7267'7961, .rdx = 0x646E'756F};
static_assert(vmm_identity.rbx == ('H' | 'V' << 8 | 'P' << 16 | 'l' << 24));
static_assert(vmm_identity.rcx == ('a' | 'y' << 8 | 'g' << 16 | 'r' << 24));
static_assert(vmm_identity.rdx == ('o' | 'u' << 8 | 'n' << 16 | 'd' << 24));
inline constexpr std::uint32_t vmm_interface = 'H' | 'V' << 8 | 'P' << 16 | '1' << 24;

inline constexpr std::uint32_t vmm_leaf_count = 0x100;

inline constexpr std::uint32_t first_extended_leaf = 0x8000'0000;
/// The only extended leaf that differs.
inline constexpr std::uint32_t extended_features = 0x8000'0001;
static_assert(std::ranges::all_of(guest_instructions, [](const GuestInstructions& some) {
    return some.leaf < 32 || some.leaf == extended_features;
}));

/// In what the guest's answer to a leaf differs from the processor's: bits of ECX.
struct CpuidPolicy {
    std::uint32_t leaf{};
    std::optional<std::uint32_t> subleaf{};  ///< none: the leaf has none
    std::uint64_t hidden{};                  ///< what the guest must not see
    std::uint64_t shown{};                   ///< what the processor does not have
    std::uint64_t mirrored{};                ///< a copy of a bit of CR4
    /// That bit. We ask with the host's CR4 loaded, the guest means its own.
    /// [SDM 3A 2.5 "Control Registers"]
    arch::Cr4 of{};
};

/// There is no VT-x for the guest, and there is a VMM.
inline constexpr auto cpuid_policies = std::to_array<CpuidPolicy>({
    {.leaf = 1,
     .hidden = arch::cpuid_1_ecx_vmx,
     .shown = arch::cpuid_1_ecx_hypervisor,
     .mirrored = arch::cpuid_1_ecx_osxsave,
     .of = arch::Cr4::os_xsave},
    // The other subleaves have other features at this bit.
    {.leaf = 7,
     .subleaf = 0,
     .mirrored = arch::cpuid_7_ecx_ospke,
     .of = arch::Cr4::protection_keys},
});

/// One row's leaf.
[[nodiscard]] inline std::uint64_t apply(const CpuidPolicy& policy, Exit exit, std::uint64_t ecx) {
    ecx = (ecx & ~(policy.hidden | policy.mirrored)) | policy.shown;
    return exit.vmcs.read(guest_cr4).has(policy.of) ? ecx | policy.mirrored : ecx;
}

[[nodiscard]] constexpr std::uint64_t& part(arch::CpuidRegisters& answer, CpuidRegister which) {
    switch (which) {
        case CpuidRegister::eax:
            return answer.rax;
        case CpuidRegister::ebx:
            return answer.rbx;
        case CpuidRegister::ecx:
            return answer.rcx;
        case CpuidRegister::edx:
            break;
    }
    return answer.rdx;
}

/// Hides the instructions that would raise #UD, although the processor has them.
inline void hide_instructions(Exit exit, std::uint32_t leaf, std::uint32_t subleaf,
                              arch::CpuidRegisters& answer) {
    const bool has_controls = exit.vmcs.read(primary_processor_based_controls)
                                  .has(PrimaryControl::activate_secondary_controls);
    for (const GuestInstructions& some : guest_instructions) {
        if (some.leaf != leaf || (leaf < first_extended_leaf && some.subleaf != subleaf)) {
            continue;
        }
        const bool given = has_controls && !some.needs.empty() &&
                           exit.vmcs.read(secondary_processor_based_controls).has(some.needs);
        if (!given) {
            part(answer, some.answer) &= ~(std::uint64_t{1} << some.bit);
        }
    }
}

/// What a leaf's answer becomes that is not simply the processor's.
template <const auto& policies>
[[nodiscard, gnu::noinline]] arch::CpuidRegisters changed_answer(Exit exit, std::uint32_t leaf,
                                                                 arch::CpuidRegisters answer) {
    const std::uint32_t subleaf = exit.registers().low(Register::rcx);
    if (leaf - first_vmm_leaf < vmm_leaf_count) {
        return leaf == first_vmm_leaf  ? vmm_identity
               : leaf == last_vmm_leaf ? arch::CpuidRegisters{vmm_interface, 0, 0, 0}
                                       : arch::CpuidRegisters{};
    }
    for (const CpuidPolicy& policy : policies) {
        if (leaf == policy.leaf && subleaf == policy.subleaf.value_or(subleaf)) {
            answer.rcx = apply(policy, exit, answer.rcx);
        }
    }
    hide_instructions(exit, leaf, subleaf, answer);
    return answer;
}

/// Whether the guest's answer to a leaf may differ from the processor's.
template <const auto& policies>
[[nodiscard]] constexpr bool may_differ(std::uint32_t leaf) {
    // The basic leaves of the rows are small numbers, and so bits of one constant.
    constexpr std::uint32_t rows = [] {
        std::uint32_t bits = 0;
        for (const CpuidPolicy& policy : policies) {
            bits |= 1U << policy.leaf;
        }
        for (const GuestInstructions& some : guest_instructions) {
            bits |= some.leaf < first_extended_leaf ? 1U << some.leaf : 0;
        }
        return bits;
    }();
    constexpr std::uint32_t highest = std::bit_width(rows) - 1;
    return leaf <= highest ? (rows >> leaf & 1) != 0
                           : leaf - first_vmm_leaf < vmm_leaf_count || leaf == extended_features;
}

/// The processor's answer but for what the table says, and the VMM's own leaves.
/// [SDM 3C 25.1.2 "Instructions That Cause VM Exits Unconditionally"],
/// [SDM 3C 31.8.5 "CPUID Emulation"]
template <const auto& policies>
Next answer_cpuid(Exit exit) {
    const std::uint32_t leaf = exit.registers().low(Register::rax);
    arch::CpuidRegisters answer = arch::cpuid_registers(leaf, exit.registers().low(Register::rcx));
    if (may_differ<policies>(leaf)) [[unlikely]] {
        answer = changed_answer<policies>(exit, leaf, answer);
    }
    exit.registers()[Register::rax] = answer.rax;
    exit.registers()[Register::rbx] = answer.rbx;
    exit.registers()[Register::rcx] = answer.rcx;
    exit.registers()[Register::rdx] = answer.rdx;
    return Next::step_over;
}
inline Next on_cpuid(Exit exit) {
    return answer_cpuid<cpuid_policies>(exit);
}

}  // namespace hvp::vmx
