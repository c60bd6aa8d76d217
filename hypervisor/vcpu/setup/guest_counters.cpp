#include "hypervisor/vcpu/setup/guest_counters.hpp"

#include <cstddef>

#include "hypervisor/arch/cpuid.hpp"
#include "hypervisor/vmx/adjusted_controls.hpp"

namespace hvp::vmx {
namespace {

using arch::Msr;

/// [SDM 3A 18.2.2 "Architectural Performance Monitoring Version 2"]: it brings the MSR that switches
/// all counters.
bool has_global_control() {
    constexpr std::uint32_t monitoring = 0xA;
    constexpr std::uint32_t version = 0xFF;
    return arch::cpuid(0).eax >= monitoring && (arch::cpuid(monitoring).eax & version) >= 2;
}

/// [SDM 3A 18.6.3.8 "Processor Event-Based Sampling (PEBS)"]: a debug store, and no bit that says
/// that PEBS is unavailable.
bool has_pebs() {
    constexpr std::uint64_t unavailable = 1U << 12;
    return (arch::cpuid(1).edx & arch::cpuid_1_edx_debug_store) != 0 &&
           (arch::rdmsr(Msr::misc_enable) & unavailable) == 0;
}

}  // namespace

void GuestCounters::restore_to_host() const {
    for (std::uint32_t i = 0; i < count; ++i) {
        arch::wrmsr(of_guest[i].msr, of_guest[i].value);
    }
}

void switch_counters(CurrentVmcs& vmcs, GuestCounters& counters, arch::HostPhysicalAddress physical,
                     bool is_first) {
    const bool possible = has_global_control() && is_allowed(ExitControl::load_perf_global_ctrl);
    counters.count = !possible ? 0 : has_pebs() ? 2 : 1;
    vmcs.write(exit_msr_store_count, counters.count);
    vmcs.write(exit_msr_load_count, counters.count == 2 ? 1 : 0);
    vmcs.write(entry_msr_load_count, counters.count);
    if (!possible) {
        return;
    }
    constexpr std::array msrs{Msr::perf_global_ctrl, Msr::pebs_enable};
    for (std::uint32_t i = 0; i < counters.count && is_first; ++i) {
        counters.of_guest[i] = {.msr = msrs[i], .value = arch::rdmsr(msrs[i])};
    }
    write_controls(vmcs, exit_controls,
                   vmcs.read(exit_controls) | ExitControl::load_perf_global_ctrl);
    vmcs.write(host_perf_global_ctrl, 0);
    // One list for both ways. Not the entry control of the same name: it loads from the VMCS, where
    // no exit of our edition saves.
    vmcs.write(exit_msr_store_address, (physical + offsetof(GuestCounters, of_guest)).raw());
    vmcs.write(entry_msr_load_address, (physical + offsetof(GuestCounters, of_guest)).raw());
    vmcs.write(exit_msr_load_address, (physical + offsetof(GuestCounters, pebs_off)).raw());
}

}  // namespace hvp::vmx
