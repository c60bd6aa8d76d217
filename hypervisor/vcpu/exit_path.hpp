// The way of an exit: what entry.S calls, and what that works with. Handlers are in the rooms
// above; exits/handler_table.hpp makes this of a table of them.
#pragma once

#include <cstdint>
#include <span>

#include "hypervisor/vcpu/msr_bitmap.hpp"

namespace hvp::vmx {

struct VmmFrame;

/// A function that entry.S jumps to. It does not return: it ends by a jump to `hvp_resume_guest` or
/// to `hvp_leave_guest`. The guest's registers are in the frame, so there is none to preserve; in
/// this calling convention of clang nobody saves one, and the argument is in R12. [clang:
/// Attributes in Clang] preserve_none
using ExitFunction = void(VmmFrame* frame) [[clang::preserve_none]];

/// An instruction that enters a guest. entry.S notes the one that failed.
enum class EntryInstruction : std::uint8_t { vmlaunch = 0, vmresume = 1 };

struct ExitPath {
    ExitFunction* on_exit{};
    ExitFunction* on_exit_of_step{};  ///< instead, during a step of one instruction
    ExitFunction* on_failed_entry{};  ///< VMLAUNCH or VMRESUME failed
    std::span<const MsrPolicies> msrs{};
    void* state{};  ///< the handlers' own; its type is checked where the path is made
};

}  // namespace hvp::vmx
