// guest-state: a guest that survives its exits, on a VMM with a world of its own.
//
// `launch` let go of the guest at its first exit. Here the exit is handled and the guest goes on
// with every register as it was, and it does not notice. While the VMM runs, nothing of Windows is
// in use: it has page tables, GDT, IDT, TSS and stacks of its own, so that it depends on nothing
// that the guest could change. Every exit is noted in a ring, and told afterwards.
//
// The code below is in the order in which it runs. What a VMCS field means, the chapter of `launch`
// has told; here they are written by the library, in hypervisor/vcpu/virtual_processor.cpp.
#include <expected>

#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/vcpu/host_environment.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmx/capabilities.hpp"
#include "hypervisor/vmx/vmx_operation.hpp"
#include "platform/windows/irql.hpp"
#include "platform/windows/kernel_mode.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/processors.hpp"
#include "platform/windows/status.hpp"
#include "platform/windows/trace.hpp"
#include "platform/windows/vmm_memory.hpp"
#include "stages/guest-state/guest.hpp"
#include "stages/guest-state/journal.hpp"

namespace {

using namespace hvp;
using guest_state::Journal;
using vmx::Failure;
using vmx::FailureKind;

template <typename T>
using Expected = std::expected<T, Failure>;

Expected<void> run_guest(const windows::TraceProvider& provider,
                         const vmx::VmxCapabilities& capabilities, const windows::VmmMemory& memory,
                         Journal& journal);
Expected<void> judge(const vmx::GuestStop& guest_stop, const guest_state::Proof& proof);
void on_unload(PDRIVER_OBJECT) {}

}  // namespace

// ---- The life of the driver -------------------------------------------------------------------

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    if (!windows::runs_in_a_kernel()) {
        return STATUS_NOT_SUPPORTED;
    }
    const auto passive = windows::AtPassiveLevel::in_driver_entry();
    const windows::TraceProvider provider{passive};
    const windows::PinnedToProcessor pinned;

    const Expected<void> outcome = [&] -> Expected<void> {
        const Expected<vmx::VmxCapabilities> capabilities = vmx::probe_vmx();
        if (!capabilities) {
            return std::unexpected{capabilities.error()};
        }
        const Expected<windows::VmmMemory> memory = windows::VmmMemory::take(
            passive, *capabilities, *driver, vmx::traced_exits_with_registers());
        if (!memory) {
            return std::unexpected{memory.error()};
        }
        Journal journal{.supported_at = arch::rdtsc(), .basic = capabilities->basic};
        return run_guest(provider, *capabilities, *memory, journal);
    }();  // the memory is given back
    if (!outcome) {
        windows::trace_failure(provider, outcome.error());
        return windows::status_of(outcome.error().kind);
    }
    return STATUS_SUCCESS;
}

namespace {

Expected<void> run_guest(const windows::TraceProvider& provider,
                         const vmx::VmxCapabilities& capabilities, const windows::VmmMemory& memory,
                         Journal& journal) {
    vmx::ProcessorMemory& vmm = memory.processor();
    journal.conversation.seed = journal.supported_at;
    journal.conversation.steps = guest_state::plan();
    const vmx::GuestStart guest{.code = guest_state::guest_main,
                                .argument = &journal.conversation,
                                .stack_end = memory.guest_stack_end()};

    const arch::ProcessorState windows = arch::ProcessorState::capture();
    {
        const arch::InterruptsOff interrupts_off;
        // From the first VM exit on, the VMM's own tables are in use: going back takes more than in
        // `launch`, and is the last thing that happens in this block.
        const vmx::HostStateGuard tables_left{vmm, windows};
        arch::write_cr0(arch::read_cr0() | capabilities.cr0_ones);
        arch::write_cr4(arch::read_cr4() | capabilities.cr4_ones);
        journal.vmxon_at = arch::rdtsc();
        const auto operation = vmx::VmxOperation::enter(memory.region().physical_of(&vmm.vmxon));
        if (!operation) {
            return std::unexpected{operation.error()};
        }
        const auto vmcs = vmx::LoadedVmcs::load(memory.region().physical_of(&vmm.vmcs));
        if (!vmcs) {
            return std::unexpected{vmcs.error()};
        }
        const auto written = vmx::write_vmcs(memory.region(), windows, guest, memory.cr3());
        if (!written) {
            return written;
        }
        journal.vm_entry_at = arch::rdtsc();
        vmx::run(memory.region());
        journal.left_at = arch::rdtsc();
    }  // VMCLEAR, VMXOFF, Windows' tables, CR0 and CR4 as they were, interrupts on

    const guest_state::Proof proof = guest_state::tell(provider, journal, vmm.processor);
    return judge(vmm.processor.guest_stop, proof);
}

// ---- What came of it --------------------------------------------------------------------------

Expected<void> judge(const vmx::GuestStop& guest_stop, const guest_state::Proof& proof) {
    if (guest_stop.why == vmx::StopReason::stopped_by_guest) {
        if (proof == guest_state::perfect) {
            return {};
        }
        static constexpr vmx::Explanation why{
            .step = "the guest's registers",
            .rule = {"3C", "31.7", "Handling of VM Exits"},
            .remedy = "an exit has changed a register: the event RegistersProof counts them",
        };
        return std::unexpected{Failure{.kind = FailureKind::unexpected, .why = &why}};
    }
    static constexpr vmx::Explanation why{
        .step = "the guest",
        .rule = {"3C", "31.7", "Handling of VM Exits"},
        .remedy = "the event GuestEnded says why the VMM left it",
    };
    return std::unexpected{Failure{.kind = FailureKind::unexpected,
                                   .result = guest_stop.result,
                                   .error_number = guest_stop.error_number,
                                   .why = &why,
                                   .number = guest_stop.reason.basic_reason}};
}

}  // namespace
