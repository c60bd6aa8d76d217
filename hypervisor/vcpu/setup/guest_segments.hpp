// The guest's segment registers as a VMCS wants them, taken from the registers of now.
#pragma once

#include <array>
#include <expected>

#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/arch/segments.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

/// The eight segment registers, in the order of the VMCS fields (SegmentIndex).
using Segments = std::array<arch::Segment, 8>;

/// What the segment registers hold now, the hidden part too.
///
/// Returns  a Failure where a selector leads to no descriptor, or TR's limit is not the one that a
///          VM exit sets
[[nodiscard]] std::expected<Segments, Failure> describe_segments(const arch::ProcessorState& state);

}  // namespace hvp::vmx
