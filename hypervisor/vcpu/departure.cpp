// Leaves VMX operation with the guest's state.
#include "hypervisor/vcpu/departure.hpp"

#include "hypervisor/arch/local_apic.hpp"
#include "hypervisor/vmcs/controls.hpp"
#include "hypervisor/vmcs/unchecked_vmcs.hpp"

namespace hvp::vmx {
namespace {

/// What IRETQ pops.  [SDM 3A 6.14.3 "IRET in IA-32e Mode"]
struct ReturnFrame {
    std::uint64_t rip;
    std::uint64_t cs;
    std::uint64_t rflags;
    std::uint64_t rsp;
    std::uint64_t ss;
};

/// Loads the guest's registers, and executes IRETQ with what lies at the start of the frame.
extern "C" [[noreturn]] void hvp_continue_natively(VmmFrame* frame);

arch::Selector selector_at(const UncheckedVmcs& vmcs, SegmentIndex which) {
    return vmcs.read(guest_es_selector, which);
}

/// A control register as the guest reads it.
/// [SDM 3C 24.6.6 "Guest/Host Masks and Read Shadows for CR0 and CR4"]
template <typename Bits>
arch::Flags<Bits> as_read(arch::Flags<Bits> value, arch::Flags<Bits> mask,
                          arch::Flags<Bits> shadow) {
    return value.without(mask) | (shadow & mask);
}

/// What the processor will have: the guest's state. CS and SS stay the VMM's until IRETQ.
arch::ProcessorState state_of_guest(const UncheckedVmcs& vmcs) {
    return {
        .cr0 = as_read(vmcs.read(guest_cr0), vmcs.read(cr0_guest_host_mask),
                       vmcs.read(cr0_read_shadow)),
        .cr3 = vmcs.read(guest_cr3),
        .cr4 = as_read(vmcs.read(guest_cr4), vmcs.read(cr4_guest_host_mask),
                       vmcs.read(cr4_read_shadow)),
        .dr7 = vmcs.read(guest_dr7).raw(),
        .debugctl = vmcs.read(guest_debugctl).raw(),
        .sysenter_cs = vmcs.read(guest_sysenter_cs),
        .sysenter_esp = vmcs.read(guest_sysenter_esp),
        .sysenter_eip = vmcs.read(guest_sysenter_eip),
        .cs = arch::selector_from(arch::read_cs()),
        .ss = arch::selector_from(arch::read_ss()),
        .ds = selector_at(vmcs, SegmentIndex::ds),
        .es = selector_at(vmcs, SegmentIndex::es),
        .fs = selector_at(vmcs, SegmentIndex::fs),
        .gs = selector_at(vmcs, SegmentIndex::gs),
        .ldtr = selector_at(vmcs, SegmentIndex::ldtr),
        .tr = selector_at(vmcs, SegmentIndex::tr),
        .fs_base = vmcs.read(guest_es_base, SegmentIndex::fs),
        .gs_base = vmcs.read(guest_es_base, SegmentIndex::gs),
        .gdtr = {.limit_bytes = static_cast<std::uint16_t>(vmcs.read(guest_gdtr_limit).bytes),
                 .base = vmcs.read(guest_gdtr_base)},
        .idtr = {.limit_bytes = static_cast<std::uint16_t>(vmcs.read(guest_idtr_limit).bytes),
                 .base = vmcs.read(guest_idtr_base)},
    };
}

/// What needs, or allows, no departure: a guest that has asked to be stopped, or that calls the VMM
/// with interrupts off, so that it does nothing of the host system's; a state that VM entry has
/// refused, and that the processor might refuse here too; another mode.
bool is_left_as_function(const VirtualProcessor& processor, const UncheckedVmcs& vmcs) {
    const GuestStop& stop = processor.guest_stop;
    const bool calls = stop.reason.basic() == ExitReason::vmcall &&
                       !vmcs.read(guest_rflags).has(arch::Rflags::interrupt_enable);
    return stop.why == StopReason::stopped_by_guest || stop.why == StopReason::entry_failed ||
           stop.why == StopReason::entry_refused || calls ||
           !vmcs.read(entry_controls).has(EntryControl::ia32e_mode_guest);
}

/// TF, IF and BTF are the VMM's during a step by RFLAGS.TF.
void abandon_step(const VirtualProcessor& processor, UncheckedVmcs& vmcs) {
    const SingleStep& step = processor.step;
    if (step.by != StepBy::trap_flag || step.on_exit == step.on_exit_of_step ||
        processor.frame->on_exit != step.on_exit_of_step) {
        return;
    }
    constexpr auto ours = arch::Rflags::trap | arch::Rflags::interrupt_enable;
    vmcs.write(guest_rflags, vmcs.read(guest_rflags).without(ours) | (step.rflags & ours));
    vmcs.write(guest_debugctl, step.debugctl);
}

/// The event that has not arrived in the guest: its delivery caused the exit, or the next entry
/// would have delivered it. An entry that failed says nothing of a delivery: what the field holds
/// is older.  [SDM 3C 26.7 "VM-Entry Failures During or After Loading Guest State"]
InterruptionInformation undelivered(const UncheckedVmcs& vmcs, StopReason why) {
    const InterruptionInformation next = vmcs.read(entry_interruption_information);
    if (why == StopReason::entry_failed || why == StopReason::entry_refused) {
        return next;
    }
    const InterruptionInformation interrupted = vmcs.read(idt_vectoring_information);
    return interrupted.valid != 0 && !next.is(Vector::machine_check) ? interrupted : next;
}

/// Notes what has to be handed over. Exceptions and software interrupts need nothing: RIP is at the
/// instruction, which raises them again.
void keep(VirtualProcessor& processor, const InterruptionInformation& event) {
    if (event.is(Vector::machine_check)) {
        processor.machine_check = true;
    } else if (event.is(EventType::nmi)) {
        __atomic_add_fetch(&processor.pending_nmis, 1, __ATOMIC_RELAXED);
    } else if (event.is(EventType::external_interrupt)) {
        processor.interrupt = static_cast<std::uint8_t>(event.vector);
    }
}

/// CR4 before CR3, whose lower bits have a meaning that depends on it; and at first without
/// CR4.PGE, so that the last write invalidates all translations, the VMM's too, whatever their
/// tags.
/// [SDM 3A 4.10.4.1 "Operations that Invalidate TLBs and Paging-Structure Caches"]
void load_control_registers(const arch::ProcessorState& state) {
    arch::write_cr4(state.cr4.without(arch::Cr4::page_global_enable));
    arch::write_cr0(state.cr0);
    arch::write_cr3(state.cr3);
    arch::write_cr4(state.cr4);
}

}  // namespace

void depart(VmmFrame* frame) {
    VirtualProcessor& processor = *frame->owner;
    UncheckedVmcs vmcs;
    if (is_left_as_function(processor, vmcs)) {
        [[clang::musttail]] return hvp_leave_vmm(frame);
    }
    // From here on there is no other way: an exception would be the end.
    processor.running = false;
    abandon_step(processor, vmcs);
    const arch::ProcessorState state = state_of_guest(vmcs);
    const ReturnFrame back{.rip = vmcs.read(guest_rip).raw(),
                           .cs = arch::raw(selector_at(vmcs, SegmentIndex::cs)),
                           .rflags = vmcs.read(guest_rflags).raw(),
                           .rsp = vmcs.read(guest_rsp).raw(),
                           .ss = arch::raw(selector_at(vmcs, SegmentIndex::ss))};
    const InterruptionInformation event = undelivered(vmcs, processor.guest_stop.why);
    // Its frame lies on the stack that the next NMI would use. An interrupted delivery of an NMI is
    // no handler yet.
    const bool is_in_nmi_handler =
        vmcs.read(guest_interruptibility_state).has(Interruptibility::blocking_by_nmi) &&
        !event.is(EventType::nmi);
    keep(processor, event);

    static_cast<void>(arch::vmclear(arch::HostPhysicalAddress{arch::vmptrst()}));
    static_cast<void>(arch::vmxoff());
    load_control_registers(state);
    // The code goes on, as the guest's page tables have the host system's addresses, and this
    // driver's are among them.
    HostTables& tables = *processor.tables;
    copy_gdt(tables, state);
    restore_after_own_tables(tables, state);
    processor.counters.restore_to_host();
    arch::wrmsr(arch::Msr::sysenter_cs, state.sysenter_cs);
    arch::wrmsr(arch::Msr::sysenter_esp, state.sysenter_esp);
    arch::wrmsr(arch::Msr::sysenter_eip, state.sysenter_eip);

    processor.own_tables = false;
    __atomic_store_n(&processor.departed, true, __ATOMIC_RELAXED);
    hand_over_interrupt(processor);
    if (!is_in_nmi_handler) {
        hand_over_nmis(processor);
    }
    hand_over_machine_check(processor);
    static_assert(sizeof(ReturnFrame) == offsetof(VmmFrame, registers));
    *reinterpret_cast<ReturnFrame*>(frame) = back;
    hvp_continue_natively(frame);
}

void keep_undelivered(VirtualProcessor& processor) {
    keep(processor, undelivered(UncheckedVmcs{}, processor.guest_stop.why));
}

/// The interrupt is in service, and no handler will write its EOI: we do, and ask for it once more.
/// It then waits in the APIC until its processor can take it. It was the last that the APIC gave
/// out, so it has the highest priority of those in service, and our EOI is about it. A spurious one
/// is not in service, and nobody waits for it.
/// [SDM 3A 10.8.4 "Interrupt Acceptance for Fixed Interrupts"], [SDM 3A 10.9 "Spurious Interrupt"]
void hand_over_interrupt(VirtualProcessor& processor) {
    if (!processor.interrupt || !processor.local_apic.is_usable()) {
        return;
    }
    if (processor.local_apic.is_in_service(*processor.interrupt)) {
        processor.local_apic.end_of_interrupt();
        processor.local_apic.send_to_self(*processor.interrupt);
    }
    processor.interrupt.reset();
}

void hand_over_nmis(VirtualProcessor& processor) {
    while (__atomic_load_n(&processor.pending_nmis, __ATOMIC_RELAXED) != 0 &&
           processor.local_apic.is_usable()) {
        __atomic_sub_fetch(&processor.pending_nmis, 1, __ATOMIC_RELAXED);
        processor.local_apic.send_nmi_to_self();
    }
}

void hand_over_machine_check(VirtualProcessor& processor) {
    if (processor.machine_check) {
        processor.machine_check = false;
        arch::raise_machine_check();
    }
}

}  // namespace hvp::vmx
