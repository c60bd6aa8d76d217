// guest-state: a guest that survives its exits, on a VMM with tables and stacks of its own.
//
// `launch` ended the guest at its first exit. Here the exit is handled and the guest goes on with
// every register as it was, and it does not notice. While the VMM runs, nothing of Windows is in
// use: it has page tables, GDT, IDT, TSS and stacks of its own, so that it depends on nothing that
// the guest could change. Every exit is noted in a ring, and reported afterwards.
//
// The code below is in the order in which it runs. The chapter of `launch` explains the VMCS
// fields; here the library writes them, in hypervisor/vcpu/virtual_processor.cpp.
#include <expected>

#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmx/capabilities.hpp"
#include "hypervisor/vmx/vmx_operation.hpp"
#include "platform/host.hpp"
#include "platform/vmm_memory.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "stages/guest-state/guest.hpp"
#include "stages/guest-state/journal.hpp"
#include "stages/shared/setting.hpp"

namespace {

using namespace hvp;
using stages::Setting;

template <typename T>
using Expected = std::expected<T, vmx::Failure>;

Expected<void> run_guest(const Setting& setting);
void on_unload(PDRIVER_OBJECT) {}

}  // namespace

// ---- The life of the driver -------------------------------------------------------------------

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    if (!platform::runs_in_a_kernel()) {
        return STATUS_NOT_SUPPORTED;
    }
    const auto passive = platform::AtPassiveLevel::in_driver_entry();
    const platform::TraceProvider provider{passive};
    const platform::PinnedToProcessor pinned;

    const Expected<void> outcome = [&] -> Expected<void> {
        const Expected<vmx::VmxCapabilities> capabilities = vmx::probe_vmx();
        if (!capabilities) {
            return std::unexpected{capabilities.error()};
        }
        Expected<platform::VmmMemory> memory =
            platform::VmmMemory::take(passive, *capabilities, platform::DriverImage{*driver});
        if (!memory) {
            return std::unexpected{memory.error()};
        }
        const Setting setting{.provider = provider,
                              .capabilities = *capabilities,
                              .memory = *memory,
                              .processor = pinned.index()};
        return run_guest(setting);
    }();  // the memory is freed
    if (!outcome) {
        platform::trace_failure(provider, outcome.error());
        return windows::status_of(outcome.error().kind);
    }
    return STATUS_SUCCESS;
}

namespace {

Expected<void> run_guest(const Setting& setting) {
    guest_state::Journal journal{.supported_at = arch::rdtsc(),
                                 .basic = setting.capabilities.basic};
    const vmx::ProcessorRegion& region = setting.memory.region();
    vmx::prepare(region, setting.capabilities, vmx::traced_exits_with_registers());
    vmx::ProcessorMemory& vmm = *region.memory;
    journal.mailbox.seed = journal.supported_at;
    journal.mailbox.steps = guest_state::plan();
    const vmx::GuestStart guest{.code = guest_state::guest_main,
                                .argument = &journal.mailbox,
                                .stack_end = setting.memory.guest_stack_end()};

    const arch::ProcessorState host = arch::ProcessorState::capture();
    {
        const arch::InterruptsOff interrupts_off;
        // From the first VM exit on, the VMM's own tables are in use: restoring takes more than in
        // `launch`, and is the last thing that happens in this block.
        const vmx::HostStateGuard host_state{vmm, host};
        arch::write_cr0(arch::read_cr0() | setting.capabilities.cr0_ones);
        arch::write_cr4(arch::read_cr4() | setting.capabilities.cr4_ones);
        journal.timestamps.vmxon_at = arch::rdtsc();
        const auto operation = vmx::VmxOperation::enter(region.physical_of(&vmm.vmxon));
        if (!operation) {
            return std::unexpected{operation.error()};
        }
        const auto vmcs = vmx::LoadedVmcs::load(region.physical_of(&vmm.vmcs));
        if (!vmcs) {
            return std::unexpected{vmcs.error()};
        }
        const auto written = vmx::write_vmcs(region, host, guest, setting.memory.cr3());
        if (!written) {
            return written;
        }
        journal.timestamps.vm_entry_at = arch::rdtsc();
        vmx::run(region);
        journal.timestamps.left_at = arch::rdtsc();
    }  // VMCLEAR, VMXOFF, the host's tables, CR0 and CR4 as they were, interrupts on

    return guest_state::report(setting.provider, journal, vmm.processor);
}

}  // namespace
