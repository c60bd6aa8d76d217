// A driver's events as lines of text: `Name key=value …`, for a debugger and for the lab.
#pragma once

#include <cstdint>

#include "hypervisor/vmx/basic.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "platform/windows/nt.hpp"

namespace hvp::windows {

/// Prints one event; shown by a kernel debugger without further settings.
///
/// Where    IRQL <= DIRQL, outside VMX operation: DbgPrintEx takes locks and sends IPIs.
/// Source   [Windows: DbgPrintEx]
template <typename... Values>
void print_event(const char* format, Values... values) {
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, format, values...);
}

/// What VMX operation is like on this processor.
inline void print_supported(const vmx::VmxBasic& basic, std::uint64_t at) {
    print_event(
        "Supported revision=0x%x vmcs_bytes=%u memory_type=write-back "
        "true_controls=%s at=0x%llx\n",
        static_cast<unsigned>(basic.revision_identifier), static_cast<unsigned>(basic.region_bytes),
        basic.has_true_controls != 0 ? "yes" : "no", at);
}

/// Is this a kernel at all? An imitation of Windows in a process, as Wine is, lacks much of what a
/// driver uses, so a driver asks before it calls anything else.
///
/// Returns  false, and prints the failure, above CPL 0
[[nodiscard]] bool runs_in_a_kernel();

/// A failure: the VMX instruction that said no, if it was one, then step, rule and remedy.
void print_failure(const vmx::Failure& failure);

}  // namespace hvp::windows
