// The state of one processor that a VM exit does not restore: saved before, restored after.
//
// A VM exit loads the host state, and that is less than what was there before: table limits become
// FFFFh, selectors lose their RPL, DR7 and IA32_DEBUGCTL get fixed values. If a VMM leaves VMX
// operation without restoring these, the host system crashes minutes later.
// [SDM 3C 27.5 "Loading Host State"]
#pragma once

#include <cstdint>
#include <span>

#include "hypervisor/arch/control_registers.hpp"
#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/segments.hpp"

namespace hvp::arch {

struct ProcessorState {
    Flags<Cr0> cr0;
    std::uint64_t cr3;
    Flags<Cr4> cr4;
    std::uint64_t dr7;
    std::uint64_t debugctl;
    std::uint32_t sysenter_cs;
    std::uint64_t sysenter_esp;
    std::uint64_t sysenter_eip;
    Selector cs;
    Selector ss;
    Selector ds;
    Selector es;
    Selector fs;
    Selector gs;
    Selector ldtr;
    Selector tr;
    std::uint64_t fs_base;
    std::uint64_t gs_base;
    TableRegister gdtr;
    TableRegister idtr;

    /// The GDT in memory, as 8-byte entries.
    [[nodiscard]] std::span<const std::uint64_t> gdt() const;

    /// Reads this processor's state.
    ///
    /// Where    CPL 0, the thread pinned to its processor: half of the state of one processor and
    ///          half of another's is worse than none.
    [[nodiscard]] static ProcessorState capture();

    /// Restores what a VM exit changed; CR0 and CR4 only after VMXOFF, see `restore_cr0_cr4`.
    ///
    /// Where    The processor of `capture`, interrupts off: between the selector of GS and its
    ///          base the host system's per-processor data cannot be found.
    void restore_after_vm_exit() const;

    /// The parts of it, for a VMM that has tables of its own: the selectors with the bases of FS
    /// and GS, looked up in the GDT that is in use, but for TR; DR7 and IA32_DEBUGCTL.
    void restore_selectors() const;
    void restore_debug_state() const;

    /// Restores CR0 and CR4, and with it CR4.VMXE.
    ///
    /// Where    Outside VMX operation, which forbids to clear VMXE.
    ///          [SDM 3C 23.8 "Restrictions on VMX Operation"]
    void restore_cr0_cr4() const;
};

/// Maskable interrupts stay off while it lives; then RFLAGS are as they were.
///
/// An interrupt that arrives while our guest runs would run the host system's handler *in the
/// guest*, or wait for us in the VMM. A stage whose guest is ready for that switches them on there.
class InterruptsOff {
public:
    InterruptsOff() : before_{read_rflags()} { cli(); }
    InterruptsOff(const InterruptsOff&) = delete;
    InterruptsOff& operator=(const InterruptsOff&) = delete;
    ~InterruptsOff() { write_rflags(before_); }

private:
    Flags<Rflags> before_;
};

/// Saves this processor's state, and restores on destruction what a VM exit has changed.
class ProcessorStateGuard {
public:
    ProcessorStateGuard() : before_{ProcessorState::capture()} {}
    ProcessorStateGuard(const ProcessorStateGuard&) = delete;
    ProcessorStateGuard& operator=(const ProcessorStateGuard&) = delete;
    ~ProcessorStateGuard() {
        before_.restore_after_vm_exit();
        before_.restore_cr0_cr4();
    }
    [[nodiscard]] const ProcessorState& before() const { return before_; }

private:
    ProcessorState before_;
};

}  // namespace hvp::arch
