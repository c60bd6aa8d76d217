// event-injection: for its guest the processor has no VT-x.
//
// A guest that executes VMLAUNCH must get what it would get on a processor outside VMX operation:
// the exception #UD, at the instruction, through its own IDT. The exit says only that the guest has
// tried it. So the VMM describes the exception to the next VM entry, and the entry delivers it:
// event injection.
//
// The guest gets it twice in this stage. First in Windows' way: it runs on the stack of its thread,
// in a __try, and Windows finds the __except. Then with an IDT of its own, whose handler looks at
// what the processor has pushed.
//
// This is guest-state's driver.cpp but for two places: the guest's stack, and its mailbox.
#include <array>
#include <cstddef>
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
#include "stages/event-injection/guest.hpp"
#include "stages/event-injection/journal.hpp"
#include "stages/shared/setting.hpp"

namespace {

using namespace hvp;
using stages::Setting;

template <typename T>
using Expected = std::expected<T, vmx::Failure>;

/// Windows' dispatcher has two CONTEXTs and a trap frame on it, and calls filters below them.
constexpr std::size_t guest_stack_bytes = 0x3000;

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
    event_injection::Journal journal{.supported_at = arch::rdtsc(),
                                     .basic = setting.capabilities.basic};
    const vmx::ProcessorRegion& region = setting.memory.region();
    vmx::prepare(region, setting.capabilities, vmx::traced_exits());
    vmx::ProcessorMemory& vmm = *region.memory;
    // In the frame of this function, so on the stack of the current thread: Windows looks for a
    // handler only as long as the frames lie there.
    alignas(16) std::array<std::byte, guest_stack_bytes> stack;  // the guest writes before it reads
    const vmx::GuestStart guest{.code = event_injection::guest_main,
                                .argument = &journal.mailbox,
                                .stack_end = stack.data() + stack.size()};

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

    return event_injection::report(setting.provider, journal, vmm.processor);
}

}  // namespace
