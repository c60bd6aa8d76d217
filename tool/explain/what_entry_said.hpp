// What a dump says about its last VM entry: by the exit reason and the VM-instruction error.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "hypervisor/vmcs/exit_reason.hpp"
#include "tool/explain/vmcs_image.hpp"

namespace hvp::tool {

/// How far the processor came, as the dump has it.
enum class EntryOutcome : std::uint8_t {
    unknown,        ///< the dump does not say
    never_exited,   ///< exit reason 0, and no exception was recorded: there was no VM exit yet
    entered,        ///< an ordinary exit reason: the guest ran
    refused,        ///< VMfail, with a VM-instruction error
    failed,         ///< the text says that it failed, and neither exit reason nor error
    guest_refused,  ///< VM exit 33 or 41: past controls and host state
    msrs_refused,   ///< VM exit 34: past the guest state, too
};

/// The exit reason and the error of a dump, put together.
struct WhatEntrySaid {
    EntryOutcome outcome{EntryOutcome::unknown};
    std::optional<vmx::ExitReasonField> exit;  ///< the exit reason, if the dump has one
    std::optional<std::uint64_t> qualification;
    std::uint32_t instruction_error = 0;  ///< 0 where it says nothing about VM entry
    bool exit_is_older = false;           ///< the exit reason is of an exit before the VMfail

    [[nodiscard]] bool failed() const {
        return outcome == EntryOutcome::refused || outcome == EntryOutcome::failed ||
               outcome == EntryOutcome::guest_refused || outcome == EntryOutcome::msrs_refused;
    }
};

[[nodiscard]] WhatEntrySaid what_entry_said(const VmcsImage& image);

/// Whether a VM-instruction error is one of VMLAUNCH and VMRESUME.
/// [SDM 3C 30.4 "VM Instruction Error Numbers"]
[[nodiscard]] bool is_error_of_vm_entry(std::uint64_t error);

}  // namespace hvp::tool
