// Exits on the scripted processor: how they go, and how they end.
#pragma once

#include "hypervisor/exits/dispatch.hpp"
#include "tests/unit/vcpu/fake_entry.hpp"

namespace hvp::vmx {

/// As set_exit_path, where there is no ProcessorMemory.
inline void use_exit_path(VmmFrame& frame, const ExitPath& path) {
    frame.on_exit = path.on_exit;
    frame.on_failed_entry = path.on_failed_entry;
    frame.state = path.state;
    frame.owner->step.on_exit_of_step = path.on_exit_of_step;
}

/// Lets the exit happen that the VMCS describes. Returns whether the guest goes on.
[[nodiscard]] inline bool goes_on_after_exit(VmmFrame& frame) {
    fake_outcome = FakeOutcome::none;
    frame.on_exit(&frame);
    return fake_outcome == FakeOutcome::resumed;
}

}  // namespace hvp::vmx
