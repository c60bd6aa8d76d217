// From a failure's kind to the status that DriverEntry returns, and `sc start` shows.
#pragma once

#include "hypervisor/vmx/failure.hpp"
#include "platform/windows/nt.hpp"

namespace hvp::windows {

/// [Windows: NTSTATUS Values]
[[nodiscard]] constexpr NTSTATUS status_of(vmx::FailureKind kind) {
    switch (kind) {
        case vmx::FailureKind::not_supported:
            return STATUS_NOT_SUPPORTED;
        case vmx::FailureKind::out_of_memory:
            return STATUS_INSUFFICIENT_RESOURCES;
        case vmx::FailureKind::instruction_failed:
        case vmx::FailureKind::entry_failed:
        case vmx::FailureKind::unexpected:
            return STATUS_UNSUCCESSFUL;
    }
    return STATUS_UNSUCCESSFUL;
}

}  // namespace hvp::windows
