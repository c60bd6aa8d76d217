// What entry.S and C++ know of each other: how a guest is launched, and where its exit arrives.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hypervisor/vcpu/exit_path.hpp"

namespace hvp::vmx {

/// What lies at the top of the VMM's stack while the guest runs; HOST_RSP points to it.
struct ExitFrame {
    /// The place of a return address. Nobody called the exit's entry point, so a debugger that
    /// walks the stack shall end here.
    std::uint64_t end_of_stack;
    /// What `on_exit` gets: the stage's own object.
    void* stage;
    /// Where the stack was that executed VMLAUNCH.
    std::uint64_t launch_rsp;
    /// The stage's handler, called on the VMM's own stack, in VMX root operation.
    void (*on_exit)(void* stage);
};
static_assert(offsetof(ExitFrame, stage) == 8, "entry.S");
static_assert(offsetof(ExitFrame, launch_rsp) == 16, "entry.S");
static_assert(offsetof(ExitFrame, on_exit) == 24, "entry.S");

/// How `hvp_launch_guest` came back.
enum class LaunchOutcome : std::uint32_t {
    vm_exit = 0,       ///< the guest ran, or failed to be entered, and an exit has been handled
    fail_invalid = 1,  ///< VMLAUNCH: VMfailInvalid
    fail_valid = 2,    ///< VMLAUNCH: VMfailValid
};

extern "C" {

/// Executes VMLAUNCH and returns when the guest has exited, like a function call.
///
/// Needs    A current VMCS with HOST_RSP = `frame` and HOST_RIP = `hvp_vm_exit`. `argument` is in
///          RCX when the guest starts, where the Windows calling convention has the first one.
/// Returns  on the stack, and with all the registers, of its caller.
/// Where    VMX root operation, interrupts off.
/// Source   [SDM 3C 26.1 "Basic VM-Entry Checks"]
LaunchOutcome hvp_launch_guest(void* argument, ExitFrame* frame);

/// Where the processor goes on after a VM exit. Never called.
void hvp_vm_exit();

}  // extern "C"

// ---- A guest that survives its exits ----------------------------------------------------------

extern "C" {

/// Starts the guest with the registers in the frame, and returns when the VMM leaves it.
///
/// Needs    A current, clear VMCS with HOST_RSP = `frame` and HOST_RIP = `hvp_exit_to_vmm`.
/// Returns  on the stack and page tables, and with all the registers, of its caller.
/// Where    VMX root operation, interrupts off.
void hvp_run_guest(VmmFrame* frame);

/// Where the processor goes on after a VM exit. Never called.
void hvp_exit_to_vmm();

/// How the handling of an exit ends: the guest goes on with the registers in the frame, or the VMM
/// leaves it.
///
/// Where    RSP = `frame`: by a tail call from `VmmFrame::on_exit`, which entry.S jumps to. Nothing
///          returns.
ExitFunction hvp_resume_guest;
ExitFunction hvp_leave_guest;

/// What they jump to through `VmmFrame::resume` and `VmmFrame::leave`: VM entry, and the way back
/// to the stack that launched the guest.
ExitFunction hvp_enter_guest;
ExitFunction hvp_leave_vmm;

/// Leaves the guest through `VmmFrame::leave`. Where an exception in the VMM returns to, with RSP =
/// the frame.
void hvp_leave_after_trap();

/// Instead of `hvp_enter_guest` after an NMI in the VMM.
ExitFunction hvp_enter_guest_after_nmi;

/// Instructions that lead to a VM entry. An NMI that interrupts them has to return to another
/// place, or the guest would be entered without a window for it.
struct EntryRange {
    std::uint64_t begin;
    std::uint64_t end;
    std::uint64_t restart;
};
extern const EntryRange hvp_entry_ranges[2];

/// Lets the guest exit as soon as it can take the NMIs that are pending. Called by entry.S.
///
/// Where    VMX root operation, the guest's VMCS current
void hvp_open_window_for_nmis(VmmFrame* frame);

}  // extern "C"

}  // namespace hvp::vmx
