// RDMSR and WRMSR: the few MSRs that the guest must not have as they are.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "hypervisor/arch/msr.hpp"
#include "hypervisor/arch/mtrr.hpp"
#include "hypervisor/events/delivery.hpp"
#include "hypervisor/vcpu/msr_bitmap.hpp"

namespace hvp::vmx {

/// Every guest's. The capability MSRs of VMX are those that a processor without VMX lacks, and
/// those that come after the last one we know: the newest manuals have 492H and 493H, and where
/// there are
/// none more, a read is #GP anyway.  [SDM 3D A.1 "Basic VMX Information"]
inline constexpr std::uint32_t msrs_to_come = 4;
inline constexpr auto msr_policies = std::to_array<MsrPolicies>({
    {.first = arch::Msr::feature_control, .read_exits = true, .write_exits = true},
    {.first = arch::Msr::vmx_basic,
     .count = static_cast<std::uint32_t>(arch::Msr::vmx_exit_ctls2) + msrs_to_come -
              static_cast<std::uint32_t>(arch::Msr::vmx_basic) + 1,
     .read_exits = true,
     .write_exits = true},
    {.first = arch::Msr::efer, .write_exits = true},
});

/// For a guest with an EPT, whose memory types are a copy of what the MTRRs say: the guest's are
/// values that the stage keeps (virtual_mtrrs.hpp).
/// [SDM 3A 11.11.2 "Setting Memory Ranges with MTRRs"]
inline constexpr auto msr_policies_with_mtrrs = [] {
    constexpr auto for_each_mtrr = [](auto use) {
        for (auto number = static_cast<std::uint32_t>(arch::Msr::mtrr_physbase0);
             number <= static_cast<std::uint32_t>(arch::Msr::mtrr_def_type); ++number) {
            if (arch::is_mtrr(static_cast<arch::Msr>(number))) {
                use(static_cast<arch::Msr>(number));
            }
        }
    };
    constexpr std::size_t count = [=] {
        std::size_t mtrrs = 0;
        for_each_mtrr([&](arch::Msr) { ++mtrrs; });
        return mtrrs;
    }();
    std::array<MsrPolicies, msr_policies.size() + count> all{};
    auto next = std::ranges::copy(msr_policies, all.begin()).out;
    for_each_mtrr([&](arch::Msr mtrr) {
        *next++ = {.first = mtrr, .read_exits = true, .write_exits = true};
    });
    return all;
}();

/// An MSR without a bit in the bitmap exits whether we want it or not: the processor, or a VMM
/// below us, says whether there is one. Any other that comes here is of VT-x, and for a guest not
/// there.
///
/// Returns  whether there is one, and it takes the value
[[gnu::noinline]] inline bool read_msr_without_bit(GuestRegisters& registers) {
    const std::uint32_t msr = registers.low(Register::rcx);
    const auto value = msr_bitmap_bit(msr, MsrAccess::read)
                           ? std::nullopt
                           : arch::try_rdmsr(static_cast<arch::Msr>(msr));
    if (value) {
        registers.set_edx_eax(*value);
    }
    return value.has_value();
}
[[gnu::noinline]] inline bool write_msr_without_bit(const GuestRegisters& registers) {
    const std::uint32_t msr = registers.low(Register::rcx);
    return !msr_bitmap_bit(msr, MsrAccess::write) &&
           arch::try_wrmsr(static_cast<arch::Msr>(msr), registers.edx_eax());
}

/// Needs    `stage_read`: reads an MSR that only the stage knows; nothing: there is no such MSR
template <typename StageRead>
[[gnu::always_inline]] inline Next answer_rdmsr(Exit exit, StageRead stage_read) {
    const std::uint32_t msr = exit.registers().low(Register::rcx);
    if (msr == static_cast<std::uint32_t>(arch::Msr::feature_control)) [[likely]] {
        // What a processor says whose firmware has locked VT-x off.
        constexpr arch::FeatureControl locked_off{.locked = 1};
        exit.registers().set_edx_eax(std::bit_cast<std::uint64_t>(locked_off));
        return Next::step_over;
    }
    if (const std::optional<std::uint64_t> value = stage_read(static_cast<arch::Msr>(msr))) {
        exit.registers().set_edx_eax(*value);
        return Next::step_over;
    }
    return read_msr_without_bit(exit.registers()) ? Next::step_over
                                                  : inject_fault(exit, Vector::general_protection);
}
inline Next on_rdmsr(Exit exit) {
    return answer_rdmsr(exit, [](arch::Msr) { return std::optional<std::uint64_t>{}; });
}

/// An unrestricted guest has an IA32_EFER of its own, in the VMCS. It may set what it has now and
/// what the host system has set; LME not while it has paging, and LMA is the processor's.
/// [SDM 3A 2.2.1 "Extended Feature Enable Register"]
inline Next write_efer_of_unrestricted_guest(Exit exit) {
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
///
/// Needs    `stage_write`: writes an MSR that only the stage knows; false: it refuses the value
template <typename StageWrite>
[[gnu::always_inline]] inline Next answer_wrmsr(Exit exit, StageWrite stage_write) {
    const std::uint32_t msr = exit.registers().low(Register::rcx);
    const std::uint64_t value = exit.registers().edx_eax();
    if (msr == static_cast<std::uint32_t>(arch::Msr::efer)) {
        if (exit.processor().unrestricted) {
            return write_efer_of_unrestricted_guest(exit);
        }
        const arch::Flags<arch::Efer> now{arch::rdmsr(arch::Msr::efer)};
        const arch::Flags<arch::Efer> wanted{value};
        if (now.without(arch::Efer::syscall_enable) == wanted.without(arch::Efer::syscall_enable) &&
            arch::try_wrmsr(arch::Msr::efer, value)) {
            return Next::step_over;
        }
    } else if (stage_write(static_cast<arch::Msr>(msr), value) ||
               write_msr_without_bit(exit.registers())) {
        return Next::step_over;
    }
    return inject_fault(exit, Vector::general_protection);
}
inline Next on_wrmsr(Exit exit) {
    return answer_wrmsr(exit, [](arch::Msr, std::uint64_t) { return false; });
}

}  // namespace hvp::vmx
