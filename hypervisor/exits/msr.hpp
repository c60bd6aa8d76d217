// RDMSR and WRMSR: the few MSRs that the guest must not have as they are.
//
// The MSR bitmap has a bit for each of the 2 x 8192 MSRs of the two ranges, once for reading and
// once for writing: 1 is an exit. Numbers outside the ranges always exit; no MSR that we know is
// there. [SDM 3C 24.6.9 "MSR-Bitmap Address"]
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "hypervisor/arch/msr.hpp"
#include "hypervisor/arch/mtrr.hpp"
#include "hypervisor/events/delivery.hpp"

namespace hvp::vmx {

/// Which way an MSR goes.
enum class MsrAccess : std::uint8_t { read, write };

/// The bit of the MSR bitmap for an access, counted from its start.
///
/// Returns  nothing for an MSR outside both ranges
/// Source   [SDM 3C 24.6.9 "MSR-Bitmap Address"]
[[nodiscard]] constexpr std::optional<std::size_t> msr_bitmap_bit(std::uint32_t msr,
                                                                  MsrAccess access) {
    constexpr std::uint32_t range = 0x2000;
    constexpr std::uint32_t high_start = 0xC000'0000;
    constexpr std::size_t bits_of_quarter = 1024 * 8;
    const std::size_t first = access == MsrAccess::write ? 2 * bits_of_quarter : 0;
    if (msr < range) {
        return first + msr;
    }
    if (msr >= high_start && msr < high_start + range) {
        return first + bits_of_quarter + (msr - high_start);
    }
    return std::nullopt;
}

/// The capability MSRs of VMX, which a processor without VMX lacks.
/// [SDM 3D A.1 "Basic VMX Information"]
inline constexpr std::uint32_t first_vmx_msr = 0x480;
inline constexpr std::uint32_t last_vmx_msr = 0x491;

/// Sets the bits of the accesses that are handled here.
constexpr void fill_msr_bitmap(std::span<std::byte> bitmap) {
    const auto intercept = [&](std::uint32_t msr, MsrAccess access) {
        const std::size_t bit = msr_bitmap_bit(msr, access).value_or(0);
        bitmap[bit / 8] |= std::byte{1} << bit % 8;
    };
    const auto intercept_all = [&](std::uint32_t msr) {
        intercept(msr, MsrAccess::read);
        intercept(msr, MsrAccess::write);
    };
    for (std::uint32_t msr = first_vmx_msr; msr <= last_vmx_msr; ++msr) {
        intercept_all(msr);
    }
    intercept_all(static_cast<std::uint32_t>(arch::Msr::feature_control));
    intercept(static_cast<std::uint32_t>(arch::Msr::efer), MsrAccess::write);
}

/// For a guest with an EPT, whose memory types are our copy of what the MTRRs say: writes of them
/// come here. Reads do not.
constexpr void intercept_mtrr_writes(std::span<std::byte> bitmap) {
    constexpr auto first = static_cast<std::uint32_t>(arch::Msr::mtrr_physbase0);
    constexpr auto last = static_cast<std::uint32_t>(arch::Msr::mtrr_def_type);
    for (std::uint32_t msr = first; msr <= last; ++msr) {
        if (arch::is_mtrr(static_cast<arch::Msr>(msr))) {
            const std::size_t bit = msr_bitmap_bit(msr, MsrAccess::write).value_or(0);
            bitmap[bit / 8] |= std::byte{1} << bit % 8;
        }
    }
}

template <VmcsAccess V>
Next on_rdmsr(Exit<V> exit) {
    const std::uint32_t msr = exit.registers().low(Register::rcx);
    if (msr == static_cast<std::uint32_t>(arch::Msr::feature_control)) {
        // What a processor says whose firmware has locked VT-x off.
        exit.registers().set_edx_eax(1);
        return Next::step_over;
    }
    // An MSR of VT-x, or a number outside the ranges: not there.
    return inject_fault(exit, Vector::general_protection);
}

/// An unrestricted guest has an IA32_EFER of its own, in the VMCS. It may set what it has now and
/// what Windows has set; LME not while it has paging, and LMA is the processor's.
/// [SDM 3A 2.2.1 "Extended Feature Enable Register"]
template <VmcsAccess V>
Next write_efer_of_unrestricted_guest(Exit<V> exit) {
    using arch::Efer;
    const auto lme = arch::Flags{Efer::long_mode_enable};
    const auto lma = arch::Flags{Efer::long_mode_active};
    const auto now = exit.vmcs.read(guest_efer);
    const arch::Flags<Efer> wanted{exit.registers().edx_eax()};
    const bool pages = exit.vmcs.read(guest_cr0).has(arch::Cr0::paging);
    const bool lme_changes = (wanted & lme) != (now & lme);
    const auto unknown = wanted.without(exit.vmcs.read(host_efer) | now | lme | lma);
    if (!unknown.empty() || (pages && lme_changes)) {
        return inject_fault(exit, Vector::general_protection);
    }
    exit.vmcs.write(guest_efer, wanted.without(lma) | (now & lma));
    return Next::step_over;
}

/// IA32_EFER belongs to the guest, and while the VMM runs it stays as the guest has it: a VM exit
/// loads only its bits LMA and LME. NXE must not change, as our page tables use the execute-disable
/// bit, which is a reserved bit without NXE. SCE may.  [SDM 3C 31.10.4.1 "Handling IA32_EFER MSR"]
template <VmcsAccess V>
Next on_wrmsr(Exit<V> exit) {
    const std::uint32_t msr = exit.registers().low(Register::rcx);
    if (msr == static_cast<std::uint32_t>(arch::Msr::efer)) {
        if (exit.processor().unrestricted) {
            return write_efer_of_unrestricted_guest(exit);
        }
        constexpr std::uint64_t system_call_extensions = 1;
        const std::uint64_t now = arch::rdmsr(arch::Msr::efer);
        const std::uint64_t wanted = exit.registers().edx_eax();
        if (((now ^ wanted) & ~system_call_extensions) == 0) {
            arch::wrmsr(arch::Msr::efer, wanted);
            return Next::step_over;
        }
    }
    const StageHooks& hooks = exit.processor().hooks;
    if (hooks.on_mtrr_write != nullptr && arch::is_mtrr(static_cast<arch::Msr>(msr)) &&
        hooks.on_mtrr_write(hooks.stage, msr, exit.registers().edx_eax())) {
        return Next::step_over;
    }
    return inject_fault(exit, Vector::general_protection);
}

}  // namespace hvp::vmx
