// What a run of this stage tells.
#pragma once

#include <cstdint>

#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "platform/windows/trace.hpp"
#include "stages/ept-identity/memory.hpp"

namespace hvp::identity_stage {

/// When the driver did what, as time-stamp counter values.
struct Times {
    std::uint64_t supported_at{};
    std::uint64_t vmxon_at{};
    std::uint64_t probe_at{};
    std::uint64_t vm_entry_at{};
    std::uint64_t left_at{};
};

/// What the guest got beside its EPT.
struct Features {
    vmx::StepBy step_by{};
    bool vpid{};
    bool write_log{};
};

/// What the identity is made of; `predicted_tables`: for what the MTRRs say, before anything was
/// hidden.
void tell_identity(const windows::TraceProvider& provider, const ept::Limits& limits,
                   const arch::MtrrSnapshot& mtrrs, std::size_t predicted_tables,
                   const VmmPages& vmm, std::size_t hidden_pages);

/// What happened, in the order in which it happened; empties the ring.
///
/// Where    PASSIVE_LEVEL, outside VMX operation
void tell_run(const windows::TraceProvider& provider, const Times& times, const Features& features,
              const StageMemory& memory, vmx::VirtualProcessor& processor);

/// What came of it. Returns whether all went as it had to.
[[nodiscard]] bool prove(const windows::TraceProvider& provider, const Features& features,
                         const StageMemory& memory, const vmx::VirtualProcessor& processor);

}  // namespace hvp::identity_stage
