#include "hypervisor/arch/processor_state.hpp"

namespace hvp::arch {

std::span<const std::uint64_t> ProcessorState::gdt() const {
    const auto* const entries = reinterpret_cast<const std::uint64_t*>(gdtr.base);
    return {entries, (gdtr.limit_bytes + std::size_t{1}) / sizeof(std::uint64_t)};
}

ProcessorState ProcessorState::capture() {
    return {
        .cr0 = read_cr0(),
        .cr3 = read_cr3(),
        .cr4 = read_cr4(),
        .dr7 = read_dr7(),
        .debugctl = rdmsr(Msr::debugctl),
        .sysenter_cs = static_cast<std::uint32_t>(rdmsr(Msr::sysenter_cs)),
        .sysenter_esp = rdmsr(Msr::sysenter_esp),
        .sysenter_eip = rdmsr(Msr::sysenter_eip),
        .cs = selector_from(read_cs()),
        .ss = selector_from(read_ss()),
        .ds = selector_from(read_ds()),
        .es = selector_from(read_es()),
        .fs = selector_from(read_fs()),
        .gs = selector_from(read_gs()),
        .ldtr = selector_from(sldt()),
        .tr = selector_from(str()),
        .fs_base = rdmsr(Msr::fs_base),
        .gs_base = rdmsr(Msr::gs_base),
        .gdtr = sgdt(),
        .idtr = sidt(),
    };
}

void ProcessorState::restore_after_vm_exit() const {
    // The limits first: with GDTR's at FFFFh a selector beyond the real table would load garbage.
    // [SDM 3C 27.5.2 "Loading Host Segment and Descriptor-Table Registers"]
    lgdt(gdtr);
    lidt(idtr);
    restore_selectors();
    // TR needs nothing: selector and base were host fields, and the limit that every VM exit sets,
    // 67h, is the one of the host system's TSS. `launch` makes sure of that before VMLAUNCH.
    restore_debug_state();
}

void ProcessorState::restore_selectors() const {
    reload_cs(raw(cs));
    write_ss(raw(ss));
    write_ds(raw(ds));
    write_es(raw(es));
    // A selector's base comes from its descriptor, and in 64-bit mode then from the MSR.
    write_fs(raw(fs));
    wrmsr(Msr::fs_base, fs_base);
    write_gs(raw(gs));
    wrmsr(Msr::gs_base, gs_base);
    lldt(raw(ldtr));
}

void ProcessorState::restore_debug_state() const {
    // [SDM 3C 27.5.1 "Loading Host Control Registers, Debug Registers, MSRs"]: DR7 is 400h now and
    // IA32_DEBUGCTL is 0.
    write_dr7(dr7);
    wrmsr(Msr::debugctl, debugctl);
}

void ProcessorState::restore_cr0_cr4() const {
    write_cr4(cr4);
    write_cr0(cr0);
}

}  // namespace hvp::arch
