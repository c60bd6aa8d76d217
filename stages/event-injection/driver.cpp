// event-injection: for its guest the processor has no VT-x.
//
// A guest that executes VMLAUNCH must get what it would get on a processor outside VMX operation:
// the exception #UD, at the instruction, through its own IDT. The exit has only told us that the
// guest wanted it. So the VMM describes the exception to the next VM entry, and the entry delivers
// it: event injection.
//
// The guest gets it twice in this stage. First in Windows' way: it runs on the stack of its thread,
// in a __try, and Windows finds the __except. Then with an IDT of its own, whose handler looks at
// what the processor has pushed.
//
// What stands here is guest-state's driver.cpp but for three places: the guest's stack, the
// conversation, and the judgement.
#include <array>
#include <cstddef>
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
#include "stages/event-injection/guest.hpp"
#include "stages/event-injection/journal.hpp"

namespace {

using namespace hvp;
using event_injection::Journal;
using vmx::Failure;
using vmx::FailureKind;

template <typename T>
using Expected = std::expected<T, Failure>;

/// Windows' dispatcher has two CONTEXTs and a trap frame on it, and calls filters below them.
constexpr std::size_t guest_stack_bytes = 0x3000;

Expected<void> run_guest(const windows::TraceProvider& provider,
                         const vmx::VmxCapabilities& capabilities, const windows::VmmMemory& memory,
                         Journal& journal);
Expected<void> judge(const vmx::GuestStop& guest_stop, bool as_outside_vmx);
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
        const Expected<windows::VmmMemory> memory =
            windows::VmmMemory::take(passive, *capabilities, *driver, vmx::traced_exits());
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
    // In the frame of this function, so on the stack of the current thread: Windows looks for a
    // handler only as long as the frames lie there.
    alignas(16) std::array<std::byte, guest_stack_bytes> stack;  // the guest writes before it reads
    const vmx::GuestStart guest{.code = event_injection::guest_main,
                                .argument = &journal.conversation,
                                .stack_end = stack.data() + stack.size()};

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

    const bool as_outside_vmx = event_injection::tell(provider, journal, vmm.processor);
    return judge(vmm.processor.guest_stop, as_outside_vmx);
}

// ---- What came of it --------------------------------------------------------------------------

Expected<void> judge(const vmx::GuestStop& guest_stop, bool as_outside_vmx) {
    if (guest_stop.why == vmx::StopReason::stopped_by_guest) {
        if (as_outside_vmx) {
            return {};
        }
        static constexpr vmx::Explanation why{
            .step = "the guest's exceptions",
            .rule = {"3C", "26.5", "Event Injection"},
            .remedy = "one was not as without a VMM: see the events HandlerFrame and ExceptCaught",
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
