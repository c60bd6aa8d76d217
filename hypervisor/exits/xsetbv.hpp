// XSETBV: which register sets XSAVE manages. It always exits.
//
// XCR0 belongs to the guest: neither a VM exit nor a VM entry changes it, and the VMM uses no
// register that it governs. So the guest's value goes to the processor's register, once it is one
// that the processor would take.
// [SDM 3C 25.1.2 "Instructions That Cause VM Exits Unconditionally"]
#pragma once

#include <cstdint>

#include "hypervisor/arch/cpuid.hpp"
#include "hypervisor/arch/flags.hpp"
#include "hypervisor/events/delivery.hpp"

namespace hvp::vmx {

/// XCR0, where its bits depend on one another.
/// [SDM 3A 2.6 "Extended Control Registers (Including XCR0)"]
enum class Xcr0 : std::uint64_t {
    x87 = 1ULL << 0,
    sse = 1ULL << 1,
    avx = 1ULL << 2,
    bound_registers = 1ULL << 3,
    bound_control = 1ULL << 4,
    opmask = 1ULL << 5,
    zmm_upper_halves = 1ULL << 6,
    zmm_16_to_31 = 1ULL << 7,
    tile_configuration = 1ULL << 17,
    tile_data = 1ULL << 18,
};
constexpr arch::Flags<Xcr0> operator|(Xcr0 a, Xcr0 b) {
    return arch::Flags<Xcr0>{a} | b;
}

/// Whether XSETBV takes this value on a processor that supports these bits.
///
/// The x87 state is always managed. AVX needs SSE, as YMM registers contain the XMM registers. The
/// three states of AVX-512 come together, and with AVX; the two of MPX come together, and so do the
/// two of AMX. PKRU needs nothing but to be supported, like every state that is not named here.
/// Source   [SDM 3A 2.6 "Extended Control Registers (Including XCR0)"]
[[nodiscard]] constexpr bool valid_xcr0(std::uint64_t raw, std::uint64_t supported) {
    const arch::Flags<Xcr0> value{raw};
    const auto all_or_none = [value](arch::Flags<Xcr0> states) {
        return (value & states).empty() || (value & states) == states;
    };
    constexpr auto avx_512 = Xcr0::opmask | Xcr0::zmm_upper_halves | Xcr0::zmm_16_to_31;
    return (raw & ~supported) == 0 && value.has(Xcr0::x87) &&
           (!value.has(Xcr0::avx) || value.has(Xcr0::sse)) && all_or_none(avx_512) &&
           ((value & avx_512).empty() || value.has(Xcr0::avx)) &&
           all_or_none(Xcr0::bound_registers | Xcr0::bound_control) &&
           all_or_none(Xcr0::tile_configuration | Xcr0::tile_data);
}

/// CR4.OSXSAVE is 1 here, or there had been #UD in place of the exit; and so it is for #GP at
/// another CPL than 0. We look at the CPL all the same: the guest's register is at stake, and we
/// execute at
/// CPL 0.  [SDM 3C 25.1.1 "Relative Priority of Faults and VM Exits"]
inline Next on_xsetbv(Exit exit) {
    constexpr std::uint32_t xcr0 = 0;  // the only one that there is
    constexpr std::uint32_t state_components = 0x0D;
    const std::uint64_t value = exit.registers().edx_eax();
    const arch::CpuidResult supported = arch::cpuid(state_components);
    const bool valid = exit.vmcs.read(guest_ss_rights).privilege_level == 0 &&
                       exit.registers().low(Register::rcx) == xcr0 &&
                       valid_xcr0(value, std::uint64_t{supported.edx} << 32 | supported.eax);
    if (!valid || !arch::try_xsetbv(xcr0, value)) {
        return inject_fault(exit, Vector::general_protection);
    }
    return Next::step_over;
}

}  // namespace hvp::vmx
