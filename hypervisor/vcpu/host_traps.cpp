// An exception in the VMM ends the guest, and not the machine.
#include "hypervisor/vcpu/host_traps.hpp"

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vcpu/entry.hpp"
#include "hypervisor/vcpu/fix_up.hpp"
#include "hypervisor/vcpu/nmi_window.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmcs/event_information.hpp"
#include "hypervisor/vmcs/unchecked_vmcs.hpp"

namespace hvp::vmx {
namespace {

[[noreturn]] void halt_for_good() {
    for (;;) {
        arch::cli();
        arch::hlt();
    }
}

void leave_with_report(const HostTrap& trap, VirtualProcessor& processor) {
    GuestStop& guest_stop = processor.guest_stop;
    guest_stop.why = StopReason::exception_in_vmm;
    guest_stop.trap = {.vector = trap.vector,
                       .error_code = trap.error_code,
                       .rip = trap.rip,
                       .rsp = trap.rsp,
                       .cr2 = arch::read_cr2()};
    const UncheckedVmcs vmcs;
    guest_stop.reason = vmcs.read(exit_reason);
    guest_stop.qualification = vmcs.read(exit_qualification);
    guest_stop.guest_rip = vmcs.read(guest_rip).raw();
}

/// The VMM looks at what has come before it enters the guest; where it was about to, it begins that
/// anew.
void look_before_entry(HostTrap& trap, VirtualProcessor& processor) {
    __atomic_store_n(&processor.frame->resume, &hvp_enter_guest_after_nmi, __ATOMIC_RELAXED);
    for (const EntryRange& range : hvp_entry_ranges) {
        if (trap.rip >= range.begin && trap.rip < range.end) {
            trap.rip = range.restart;
        }
    }
}

/// The guest's next entry delivers the machine check. An event that the entry would have delivered
/// comes first, unless it is an exception: a fault is raised once more by the guest's instruction.
/// As soon as possible after it there is an exit, for a window: see deliver_pending.
///
/// Returns  whether the entry delivers it
bool inject_machine_check(UncheckedVmcs& vmcs, VirtualProcessor& processor) {
    const InterruptionInformation event = vmcs.read(entry_interruption_information);
    if (event.valid != 0 && !event.is(EventType::hardware_exception)) {
        return false;
    }
    vmcs.write(entry_interruption_information, exception(Vector::machine_check));
    processor.machine_check = false;
    return true;
}

/// A machine check is the host system's to handle: it knows the banks, and it is told that one is
/// being handled (MCIP) until it says otherwise. We touch neither. Where the VMM can go on, the
/// guest gets it by the next entry; where it cannot, the guest is left, and the host system gets it
/// then: see `hand_over_machine_check`.
/// [SDM 3C 27.1 "Architectural State Before a VM Exit"],
/// [SDM 3A 15.3.1.2 "IA32_MCG_STATUS MSR"]
///
/// Returns  whether the VMM goes on where it was
bool on_machine_check(VirtualProcessor& processor) {
    constexpr std::uint64_t restart_ip_valid = 1U << 0;
    processor.machine_check = true;
    return (arch::rdmsr(arch::Msr::mcg_status) & restart_ip_valid) != 0;
}

/// Nothing here touches the VMCS: it may be the one of another guest that is current, or none.
void on_nmi(HostTrap& trap, VirtualProcessor& processor) {
    __atomic_add_fetch(&processor.pending_nmis, 1, __ATOMIC_RELAXED);
    look_before_entry(trap, processor);
}

}  // namespace

void hvp_open_window_for_nmis(VmmFrame* frame) {
    // First the pointer: the next NMI, from here on, sets it again.
    __atomic_store_n(&frame->resume, &hvp_enter_guest, __ATOMIC_RELAXED);
    UncheckedVmcs vmcs;
    const bool waits = frame->owner->machine_check && !inject_machine_check(vmcs, *frame->owner);
    if (waits || __atomic_load_n(&frame->owner->pending_nmis, __ATOMIC_RELAXED) != 0) {
        open_nmi_window(vmcs);
    }
}

void handle_host_trap(HostTrap* trap) {
    VirtualProcessor& processor = owner_of_trap_stack(trap);
    if (trap->vector == static_cast<std::uint64_t>(Vector::nmi)) {
        on_nmi(*trap, processor);
        return;
    }
    const bool is_machine_check = trap->vector == static_cast<std::uint64_t>(Vector::machine_check);
    if (is_machine_check && on_machine_check(processor)) {
        look_before_entry(*trap, processor);
        return;
    }
    if (fix_up(*trap)) {
        return;
    }
    if (!processor.running) {
        // There is no way back, and nobody to tell.
        halt_for_good();
    }
    leave_with_report(*trap, processor);
    // IRETQ rather than a jump: it ends the blocking of NMIs, should this have come inside one.
    // [SDM 3A 6.7.1 "Handling Multiple NMIs"]
    trap->rip = reinterpret_cast<std::uint64_t>(&hvp_leave_after_trap);
    trap->rsp = reinterpret_cast<std::uint64_t>(processor.frame);
    trap->rflags = arch::Flags{arch::Rflags::always_one}.raw();
}

}  // namespace hvp::vmx
