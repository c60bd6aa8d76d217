// launch: the smallest hypervisor that runs a guest on one processor and comes back.
//
// Inside DriverEntry the processor enters VMX operation and starts a guest that we described to it
// in a structure called VMCS. The guest computes one number and executes HLT. We asked the
// processor to take that as a reason to leave the guest, a "VM exit": it comes back to us, the
// virtual-machine monitor (VMM). We leave VMX operation, check the number, and DriverEntry ends as
// that of any other driver.
//
// The code below is in the order in which it runs. Whatever a step takes (memory, the interrupt
// flag, VMX operation) is owned by an object; when `launch_a_guest` returns, from wherever, the
// destructors restore all of it in the reverse order. [SDM 3C 31.5 "VMM Setup & Tear Down"] has the
// same steps in Intel's words, and [SDM 3C 31.6 "Preparation and Launching a Virtual Machine"]
// those from VMCLEAR to VMLAUNCH.
//
// This stage borrows the processor's tables and page tables from Windows for the VMM, and lets the
// guest share everything: it shows the mechanism, and protects nothing. The next ones do.
#include <array>
#include <bit>
#include <cstdint>
#include <expected>
#include <optional>

#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/vcpu/entry.hpp"
#include "hypervisor/vcpu/setup/guest_segments.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"
#include "hypervisor/vmcs/dump.hpp"
#include "hypervisor/vmcs/exit_reason.hpp"
#include "hypervisor/vmx/adjusted_controls.hpp"
#include "hypervisor/vmx/capabilities.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "hypervisor/vmx/guest_instructions.hpp"
#include "hypervisor/vmx/vmx_operation.hpp"
#include "platform/host.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "stages/launch/collatz.hpp"
#include "stages/launch/journal.hpp"

namespace {

using namespace hvp;
using arch::Msr;
using arch::VmxResult;
using launch::ExitNote;
using launch::Journal;
using launch::Mailbox;
using vmx::Failure;
using vmx::FailureKind;

template <typename T>
using Expected = std::expected<T, Failure>;

/// The memory of one launch, as far as Windows had it.
struct Regions {
    std::optional<platform::PageRun> vmxon;
    std::optional<platform::PageRun> vmcs;
    std::optional<platform::PageRun> guest_stack;
    std::optional<platform::PageRun> vmm_stack;
};

// The two long ones are not inlined into their only callers: the driver would be larger.
[[gnu::noinline]] Expected<void> launch_a_guest(const platform::AtPassiveLevel& passive,
                                                Journal& journal);
Regions take_memory(const platform::AtPassiveLevel& passive, const vmx::VmxBasic& basic);
Expected<void> prepare(const Regions& regions, const vmx::VmxBasic& basic);
[[gnu::noinline]] Expected<void> write_vmcs(const arch::ProcessorState& state,
                                            const Regions& regions, vmx::ExitFrame* frame);
Expected<void> verify(const ExitNote& exit, const Mailbox& mailbox);
void on_vm_exit(void* stage);
void on_unload(PDRIVER_OBJECT) {}

}  // namespace

// ---- The life of the driver -------------------------------------------------------------------

/// Windows calls this once, at PASSIVE_LEVEL, in a system thread.  [Windows: DRIVER_INITIALIZE]
extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    if (!platform::runs_in_a_kernel()) {
        return STATUS_NOT_SUPPORTED;
    }
    const auto passive = platform::AtPassiveLevel::in_driver_entry();
    // What happened is reported by TraceLogging events: see docs/tracing.md.
    const platform::TraceProvider provider{passive};
    // From the first look at the processor until its state is restored we must stay on it.
    const platform::PinnedToProcessor pinned;

    Journal journal{};
    const Expected<void> outcome = launch_a_guest(passive, journal);
    launch::report(provider, journal, outcome);
    return outcome ? STATUS_SUCCESS : windows::status_of(outcome.error().kind);
}

namespace {

/// The whole guest. It starts with RCX as VMLAUNCH found it, which is where Windows' calling
/// convention has the first argument.
[[noreturn]] void hello_from_the_guest(Mailbox& mailbox) {
    mailbox.guest_at = arch::rdtsc();
    mailbox.guest_rsp = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
    mailbox.answered = launch::collatz_steps(mailbox.asked);
    for (;;) {
        arch::hlt();  // a VM exit; this guest is not resumed
    }
}

/// What a return address and home space would take at the top of a stack on which a function
/// starts that was not called. RSP is then, as the convention wants, 8 short of a multiple of 16.
constexpr std::uint64_t first_frame_bytes = 40;

Expected<void> launch_a_guest(const platform::AtPassiveLevel& passive, Journal& journal) {
    const Expected<vmx::VmxCapabilities> capabilities = vmx::probe_vmx();
    if (!capabilities) {
        return std::unexpected{capabilities.error()};
    }
    journal.supported_at = arch::rdtsc();
    journal.basic = capabilities->basic;

    const Regions regions = take_memory(passive, capabilities->basic);
    if (const Expected<void> prepared = prepare(regions, capabilities->basic); !prepared) {
        return prepared;
    }
    // The answer depends on the moment, so that it cannot be known when this is compiled.
    journal.mailbox.asked = 1 + arch::rdtsc() % 10'000;

    {
        // No interrupt may arrive from here on. In the guest Windows' handlers would run with our
        // controls, and the guest ends at its first exit. In the VMM they would find a stack that
        // Windows does not know.
        const arch::InterruptsOff interrupts_off;
        const arch::ProcessorStateGuard kept;

        // [SDM 3C 23.7 "Enabling and Entering VMX Operation"]: CR4.VMXE first, then VMXON.
        arch::write_cr0(arch::read_cr0() | capabilities->cr0_ones);
        arch::write_cr4(arch::read_cr4() | capabilities->cr4_ones);
        const std::uint64_t vmxon_at = arch::rdtsc();
        const Expected<vmx::VmxOperation> vmx_operation =
            vmx::VmxOperation::enter(regions.vmxon->physical());
        if (!vmx_operation) {
            return std::unexpected{vmx_operation.error()};
        }
        journal.vmxon_at = vmxon_at;
        const Expected<vmx::LoadedVmcs> vmcs = vmx::LoadedVmcs::load(regions.vmcs->physical());
        if (!vmcs) {
            return std::unexpected{vmcs.error()};
        }

        auto* const frame =
            reinterpret_cast<vmx::ExitFrame*>(regions.vmm_stack->end() - first_frame_bytes);
        frame->stage = &journal;
        frame->on_exit = on_vm_exit;
        const Expected<void> written = write_vmcs(kept.before(), regions, frame);
        if (!written) {
            return written;
        }
        journal.vm_entry_at = arch::rdtsc();
        const vmx::LaunchOutcome launched = vmx::hvp_launch_guest(&journal.mailbox, frame);
        // The guest has run, or could not be started; we are in VMX root operation again, on our
        // first stack, and have a processor with the state that a VM exit leaves.
        if (launched != vmx::LaunchOutcome::vm_exit) {
            static constexpr vmx::Explanation why{
                .step = "VMLAUNCH",
                .rule = {"3C", "30.4", "VM Instruction Error Numbers"},
                .remedy = "./playground explain names the rule",
            };
            const auto failed = vmx::instruction_failed(
                why, launched == vmx::LaunchOutcome::fail_valid ? VmxResult::fail_valid
                                                                : VmxResult::fail_invalid);
            if (launched == vmx::LaunchOutcome::fail_valid) {
                vmx::read_all_fields(journal.fields);
            }
            return failed;
        }
        if (journal.exit->reason.entry_failure != 0) {
            vmx::read_all_fields(journal.fields);
        }
    }  // VMCLEAR, VMXOFF, the processor as it was, interrupts on
    journal.vmxoff_at = arch::rdtsc();
    return verify(*journal.exit, journal.mailbox);
}  // the memory

// ---- Memory -----------------------------------------------------------------------------------

Regions take_memory(const platform::AtPassiveLevel& passive, const vmx::VmxBasic& basic) {
    // [SDM 3D A.1 "Basic VMX Information"]: some processors take 32-bit addresses only. The size of
    // a region is at most 4096 bytes, so a page is enough for any.
    const arch::HostPhysicalAddress highest{
        basic.addresses_are_32_bits != 0 ? 0xFFFF'FFFF : 0x7FFF'FFFF'FFFF'FFFF};
    constexpr std::size_t stack_pages = KERNEL_STACK_SIZE / arch::page_bytes;
    return {.vmxon = platform::PageRun::allocate(passive, 1, highest),
            .vmcs = platform::PageRun::allocate(passive, 1, highest),
            .guest_stack = platform::PageRun::allocate(passive, stack_pages, highest),
            .vmm_stack = platform::PageRun::allocate(passive, stack_pages, highest)};
}

/// [SDM 3C 24.2 "Format of the VMCS Region"]: the first word tells the processor which format the
/// software has in mind. Bit 31 stays 0; it would mark a shadow VMCS.
void write_revision_identifier(const platform::PageRun& region, const vmx::VmxBasic& basic) {
    *reinterpret_cast<std::uint32_t*>(region.start()) =
        static_cast<std::uint32_t>(basic.revision_identifier);
}

Expected<void> prepare(const Regions& regions, const vmx::VmxBasic& basic) {
    if (!regions.vmxon || !regions.vmcs || !regions.guest_stack || !regions.vmm_stack) {
        static constexpr vmx::Explanation why{
            .step = "memory",
            .rule = {"3C", "24.11.5", "VMXON Region"},
            .remedy = "Windows has no contiguous pages left: start the driver soon after boot",
        };
        return std::unexpected{Failure{.kind = FailureKind::out_of_memory, .why = &why}};
    }
    write_revision_identifier(*regions.vmxon, basic);
    write_revision_identifier(*regions.vmcs, basic);
    return {};
}

// ---- The VMCS: guest state, host state, and when the guest exits --------------------------------

/// The guest is a clone of the thread that calls us, but for RIP, RSP and RFLAGS. So what VM entry
/// checks is right by construction: the processor runs with it at this moment.
/// [SDM 3C 24.4 "Guest-State Area"]
void write_guest_state(vmx::CurrentVmcs& vmcs, const arch::ProcessorState& state,
                       const vmx::Segments& segments, const platform::PageRun& stack) {
    // [SDM 3C 24.4.1 "Guest Register State"]
    vmcs.write(vmx::guest_cr0, arch::read_cr0());
    vmcs.write(vmx::guest_cr3, state.cr3);
    vmcs.write(vmx::guest_cr4, arch::read_cr4());
    vmcs.write(vmx::guest_dr7, arch::Flags<arch::Dr7>{state.dr7});
    vmcs.write(
        vmx::guest_rsp,
        arch::GuestLinearAddress{reinterpret_cast<std::uint64_t>(stack.end() - first_frame_bytes)});
    vmcs.write(vmx::guest_rip,
               arch::GuestLinearAddress{reinterpret_cast<std::uint64_t>(&hello_from_the_guest)});
    // Bit 1 is always 1; all else is off, interrupts too.
    // [SDM 3C 26.3.1.4 "Checks on Guest RIP and RFLAGS"]
    vmcs.write(vmx::guest_rflags, arch::Rflags::always_one);

    for (std::uint32_t i = 0; i < segments.size(); ++i) {
        const auto at = static_cast<vmx::SegmentIndex>(i);
        vmcs.write(vmx::guest_es_selector, at, segments[i].selector);
        vmcs.write(vmx::guest_es_base, at, segments[i].base);
        vmcs.write(vmx::guest_es_limit, at, segments[i].limit);
        vmcs.write(vmx::guest_es_rights, at, segments[i].rights);
    }
    vmcs.write(vmx::guest_gdtr_base, state.gdtr.base);
    vmcs.write(vmx::guest_gdtr_limit, arch::SegmentLimit{state.gdtr.limit_bytes});
    vmcs.write(vmx::guest_idtr_base, state.idtr.base);
    vmcs.write(vmx::guest_idtr_limit, arch::SegmentLimit{state.idtr.limit_bytes});

    vmcs.write(vmx::guest_debugctl, arch::Flags<arch::DebugControl>{state.debugctl});
    vmcs.write(vmx::guest_sysenter_cs, state.sysenter_cs);
    vmcs.write(vmx::guest_sysenter_esp, state.sysenter_esp);
    vmcs.write(vmx::guest_sysenter_eip, state.sysenter_eip);

    // [SDM 3C 24.4.2 "Guest Non-Register State"]
    vmcs.write(vmx::guest_activity_state, vmx::ActivityState::active);
    vmcs.write(vmx::guest_interruptibility_state, {});    // no event is blocked
    vmcs.write(vmx::guest_pending_debug_exceptions, {});  // and none is pending
    // All ones: there is no shadow VMCS.  [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"]
    vmcs.write(vmx::guest_vmcs_link_pointer, ~0ULL);
}

/// What the processor loads at a VM exit: Windows' own tables, the VMM's own stack, the VMM's entry
/// point.  [SDM 3C 24.5 "Host-State Area"]
void write_host_state(vmx::CurrentVmcs& vmcs, const arch::ProcessorState& state,
                      std::uint64_t tr_base, vmx::ExitFrame* frame) {
    vmcs.write(vmx::host_cr0, arch::read_cr0());
    vmcs.write(vmx::host_cr3, state.cr3);
    vmcs.write(vmx::host_cr4, arch::read_cr4());
    vmcs.write(vmx::host_rsp, arch::linear_address_of(frame));
    vmcs.write(vmx::host_rip,
               arch::HostLinearAddress{reinterpret_cast<std::uint64_t>(&vmx::hvp_vm_exit)});

    // Windows keeps user selectors such as 2Bh in DS even in the kernel; as host selectors they are
    // refused: RPL and TI must be 0.
    // [SDM 3C 26.2.3 "Checks on Host Segment and Descriptor-Table Registers"]
    vmcs.write(vmx::host_es_selector, state.es.for_host());
    vmcs.write(vmx::host_cs_selector, state.cs.for_host());
    vmcs.write(vmx::host_ss_selector, state.ss.for_host());
    vmcs.write(vmx::host_ds_selector, state.ds.for_host());
    vmcs.write(vmx::host_fs_selector, state.fs.for_host());
    vmcs.write(vmx::host_gs_selector, state.gs.for_host());
    vmcs.write(vmx::host_tr_selector, state.tr.for_host());
    vmcs.write(vmx::host_fs_base, state.fs_base);
    vmcs.write(vmx::host_gs_base, state.gs_base);
    vmcs.write(vmx::host_tr_base, tr_base);
    vmcs.write(vmx::host_gdtr_base, state.gdtr.base);
    vmcs.write(vmx::host_idtr_base, state.idtr.base);

    vmcs.write(vmx::host_sysenter_cs, state.sysenter_cs);
    vmcs.write(vmx::host_sysenter_esp, state.sysenter_esp);
    vmcs.write(vmx::host_sysenter_eip, state.sysenter_eip);
}

/// When the guest exits: at HLT, and at what no control can allow.
/// [SDM 3C 24.6 "VM-Execution Control Fields"]
void write_execution_controls(vmx::CurrentVmcs& vmcs) {
    vmx::write_controls(vmcs, vmx::pin_based_controls, {});
    vmx::write_controls(vmcs, vmx::primary_processor_based_controls,
                        vmx::PrimaryControl::hlt_exiting);
    // RDTSCP, INVPCID and XSAVES are #UD in a guest unless a control gives them to it.
    // [SDM 3C 25.3 "Changes to Instruction Behavior in VMX Non-Root Operation"]
    vmx::give_instructions(vmcs);
    vmcs.write(vmx::exception_bitmap, 0);  // no exception causes an exit
    vmcs.write(vmx::page_fault_error_code_mask, 0);
    vmcs.write(vmx::page_fault_error_code_match, 0);
    vmcs.write(vmx::tsc_offset, 0);
    // Mask 0: all of CR0 and CR4 belongs to the guest, and the read shadows have no effect.
    // [SDM 3C 24.6.6 "Guest/Host Masks and Read Shadows for CR0 and CR4"]
    vmcs.write(vmx::cr0_guest_host_mask, {});
    vmcs.write(vmx::cr4_guest_host_mask, {});
    vmcs.write(vmx::cr0_read_shadow, {});
    vmcs.write(vmx::cr4_read_shadow, {});
    vmcs.write(vmx::cr3_target_count, 0);
}

/// How the switches between guest and VMM are made.
/// [SDM 3C 24.7 "VM-Exit Control Fields"], [SDM 3C 24.8 "VM-Entry Control Fields"]
void write_switch_controls(vmx::CurrentVmcs& vmcs) {
    // The VMM is 64-bit code. The guest's DR7 and IA32_DEBUGCTL are saved and loaded, as otherwise
    // it would start with whatever is in the registers.
    vmx::write_controls(
        vmcs, vmx::exit_controls,
        vmx::ExitControl::host_address_space_size | vmx::ExitControl::save_debug_controls);
    vmcs.write(vmx::exit_msr_store_count, 0);
    vmcs.write(vmx::exit_msr_load_count, 0);

    vmx::write_controls(
        vmcs, vmx::entry_controls,
        vmx::EntryControl::ia32e_mode_guest | vmx::EntryControl::load_debug_controls);
    vmcs.write(vmx::entry_msr_load_count, 0);
    // No event is injected at entry.  [SDM 3C 24.8.3 "VM-Entry Controls for Event Injection"]
    vmcs.write(vmx::entry_interruption_information, {});
    vmcs.write(vmx::entry_exception_error_code, 0);
    vmcs.write(vmx::entry_instruction_length, 0);
}

Expected<void> write_vmcs(const arch::ProcessorState& state, const Regions& regions,
                          vmx::ExitFrame* frame) {
    const Expected<vmx::Segments> segments = vmx::describe_segments(state);
    if (!segments) {
        return std::unexpected{segments.error()};
    }
    vmx::CurrentVmcs vmcs;
    write_guest_state(vmcs, state, *segments, *regions.guest_stack);
    write_host_state(vmcs, state, segments->back().base, frame);
    write_execution_controls(vmcs);
    write_switch_controls(vmcs);
    // A hundred writes without an `if`: the first that the processor refused was noted.
    return vmx::written(vmcs);
}

// ---- Result -----------------------------------------------------------------------------------

Expected<void> verify(const ExitNote& exit, const Mailbox& mailbox) {
    if (exit.reason.entry_failure != 0) {
        static constexpr vmx::Explanation why{
            .step = "VM entry",
            .rule = {"3C", "26.3.1", "Checks on the Guest State Area"},
            .remedy = "./playground explain names the rule, from the event VmcsFields",
        };
        return std::unexpected{Failure{
            .kind = FailureKind::entry_failed, .why = &why, .number = exit.reason.basic_reason}};
    }
    if (exit.reason.basic() != vmx::ExitReason::hlt) {
        static constexpr vmx::Explanation why{
            .step = "VM exit",
            .rule = {"3C", "25.1", "Instructions That Cause VM Exits"},
            .remedy = "the guest was expected to stop at its HLT",
        };
        return std::unexpected{Failure{
            .kind = FailureKind::unexpected, .why = &why, .number = exit.reason.basic_reason}};
    }
    if (mailbox.answered != launch::collatz_steps(mailbox.asked)) {
        static constexpr vmx::Explanation why{
            .step = "the guest's answer",
            .rule = {"3C", "23.4", "Life Cycle of VMM Software"},
            .remedy = "the guest did not run, or not to its end",
        };
        return std::unexpected{Failure{.kind = FailureKind::unexpected, .why = &why}};
    }
    return {};
}

/// The VMM: where every VM exit arrives, called by entry.S on the VMM's own stack. It notes what
/// happened, and its return ends this short virtual machine.
///
/// Where    VMX root operation, interrupts off: nothing of Windows may be called.
void on_vm_exit(void* stage) {
    vmx::CurrentVmcs vmcs;
    ExitNote& note = static_cast<Journal*>(stage)->exit.emplace();
    note.at = arch::rdtsc();
    note.reason = vmcs.read(vmx::exit_reason);
    note.qualification = vmcs.read(vmx::exit_qualification);
    note.guest_rip = vmcs.read(vmx::guest_rip).raw();
    note.instruction_length = vmcs.read(vmx::exit_instruction_length);
}

}  // namespace
