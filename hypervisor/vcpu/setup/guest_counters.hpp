// Performance counters count in the guest and not in the VMM.
//
// A profiler of the host system may have set a counter to sample by PEBS: when it overflows, the
// processor stores a record where the host's page tables map a buffer, and the VMM's do not. In the
// VMM that is a page fault nobody asked for, and the guest's end. So every exit switches the
// counters off, and the next entry restores what the guest had.
// [SDM 3A 18.9 "PEBS FACILITY"]
#pragma once

#include <array>
#include <cstdint>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/msr.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"

namespace hvp::vmx {

/// An entry of a list of MSRs.  [SDM 3C 24.7.2 "VM-Exit Controls for MSRs", Table 24-11]
struct MsrEntry {
    arch::Msr msr{};
    std::uint32_t reserved{};
    std::uint64_t value{};
};
static_assert(sizeof(MsrEntry) == 16);

/// The lists. They are the processor's: it writes to them at each exit.
struct alignas(16) GuestCounters {
    /// IA32_PERF_GLOBAL_CTRL and IA32_PEBS_ENABLE as the guest has them: saved by an exit, loaded
    /// by an entry.
    std::array<MsrEntry, 2> of_guest{};
    /// What an exit loads. It has a control of its own for the other MSR.
    MsrEntry pebs_off{.msr = arch::Msr::pebs_enable};
    std::uint32_t count{};  ///< of entries in `of_guest`; 0: this processor cannot switch them

    /// The host system gets what the guest had in the end.
    ///
    /// Where    after a VM exit
    void restore_to_host() const;
};

/// Completes the VM-exit and VM-entry controls, and with them all lists of MSRs.
///
/// Needs    `physical`: where `counters` lies
///          `is_first`: no exit has changed the MSRs; else the entries are kept as it saved them
/// Where    the exit controls are written
/// Source   [SDM 3C 24.7.2 "VM-Exit Controls for MSRs"], [SDM 3C 24.8.2 "VM-Entry Controls for MSRs"]
void switch_counters(CurrentVmcs& vmcs, GuestCounters& counters, arch::HostPhysicalAddress physical,
                     bool is_first);

}  // namespace hvp::vmx
