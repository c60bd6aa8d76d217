#include "tool/explain/what_entry_said.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "hypervisor/vmcs/event_information.hpp"
#include "hypervisor/vmcs/fields.hpp"

namespace hvp::tool {
namespace {

using vmx::ExitReason;

bool is_failed_entry(vmx::ExitReasonField field) {
    // Some drivers keep the low 16 bits only.
    return field.entry_failure != 0 || field.basic() == ExitReason::invalid_guest_state ||
           field.basic() == ExitReason::msr_loading ||
           field.basic() == ExitReason::machine_check_event;
}

// A VMCS that was never exited from has 0 there, which is the number of "exception or NMI": that
// one leaves a valid VM-exit interruption information.
// [SDM 3C 27.2.2 "Information for VM Exits Due to Vectored Events"]
bool is_empty(vmx::ExitReasonField field, const VmcsImage& image) {
    constexpr std::uint64_t valid = 1ULL << 31;
    return field.basic() == ExitReason::exception_or_nmi &&
           (image.find(vmx::exit_interruption_information.encoding).value_or(0) & valid) == 0;
}

}  // namespace

bool is_error_of_vm_entry(std::uint64_t error) {
    constexpr auto errors = std::to_array<std::uint64_t>({4, 5, 6, 7, 8, 16, 17, 18, 25, 26});
    return std::ranges::find(errors, error) != errors.end();
}

WhatEntrySaid what_entry_said(const VmcsImage& image) {
    WhatEntrySaid said;
    said.qualification = image.find(vmx::exit_qualification.encoding);
    const std::uint64_t error = image.find(vmx::vm_instruction_error.encoding).value_or(0);
    if (const auto raw = image.find(vmx::exit_reason.encoding)) {
        said.exit = std::bit_cast<vmx::ExitReasonField>(static_cast<std::uint32_t>(*raw));
    }
    if (said.exit && is_failed_entry(*said.exit)) {
        said.outcome = said.exit->basic() == ExitReason::msr_loading ? EntryOutcome::msrs_refused
                                                                     : EntryOutcome::guest_refused;
        return said;
    }
    if (error != 0) {
        said.instruction_error = static_cast<std::uint32_t>(error);
    }
    if (is_error_of_vm_entry(error)) {
        said.outcome = EntryOutcome::refused;
        said.exit_is_older = said.exit && !is_empty(*said.exit, image);
    } else if (said.exit) {
        said.outcome =
            is_empty(*said.exit, image) ? EntryOutcome::never_exited : EntryOutcome::entered;
    }
    if (said.outcome != EntryOutcome::refused && image.says_it_failed) {
        said.outcome = EntryOutcome::failed;
    }
    return said;
}

}  // namespace hvp::tool
