// What a launch notes while no event can be written, and reports afterwards.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "hypervisor/vmcs/dump.hpp"
#include "hypervisor/vmcs/exit_reason.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "platform/host.hpp"

namespace hvp::launch {

/// What goes between VMM and guest. It lies in our memory; without EPT the guest uses the
/// same page tables as we do and finds it at the same address.
struct Mailbox {
    std::uint64_t asked;
    std::uint64_t answered;
    std::uint64_t guest_rsp;
    std::uint64_t guest_at;  ///< time-stamp counter when the guest ran
};

/// Why the processor left the guest, as the VMCS says after a VM exit.
struct ExitNote {
    std::uint64_t at;
    vmx::ExitReasonField reason;
    std::uint64_t qualification;
    std::uint64_t guest_rip;
    std::uint32_t instruction_length;
};

/// What happened and when. In VMX operation no event can be written: Windows takes locks for it and
/// sends interrupts. So it is noted here and reported afterwards.
struct Journal {
    std::uint64_t supported_at{};
    std::optional<vmx::VmxBasic> basic;
    std::uint64_t vmxon_at{};
    std::uint64_t vm_entry_at{};
    std::optional<ExitNote> exit;
    vmx::VmcsDump fields{};  ///< of a VM entry that failed
    std::uint64_t vmxoff_at{};
    Mailbox mailbox{};
};

/// Writes the journal as events, in the order in which the things happened, then the failure.
///
/// Where    outside VMX operation
void report(const platform::TraceProvider& provider, const Journal& journal,
            const std::expected<void, vmx::Failure>& outcome);

}  // namespace hvp::launch
