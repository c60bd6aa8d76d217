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

/// Nothing here touches the VMCS: it may be the one of another guest that is current, or none.
void on_nmi(HostTrap& trap, VirtualProcessor& processor) {
    __atomic_add_fetch(&processor.pending_nmis, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&processor.frame->resume, &hvp_enter_guest_after_nmi, __ATOMIC_RELAXED);
    for (const EntryRange& range : hvp_entry_ranges) {
        if (trap.rip >= range.begin && trap.rip < range.end) {
            trap.rip = range.restart;
        }
    }
}

}  // namespace

void hvp_open_window_for_nmis(VmmFrame* frame) {
    // First the pointer: the next NMI, from here on, sets it again.
    __atomic_store_n(&frame->resume, &hvp_enter_guest, __ATOMIC_RELAXED);
    if (__atomic_load_n(&frame->owner->pending_nmis, __ATOMIC_RELAXED) != 0) {
        UncheckedVmcs vmcs;
        open_nmi_window(vmcs);
    }
}

void handle_host_trap(HostTrap* trap) {
    VirtualProcessor& processor = owner_of_trap_stack(trap);
    if (trap->vector == static_cast<std::uint64_t>(Vector::nmi)) {
        on_nmi(*trap, processor);
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
