// Looks the selectors up in the GDT.
#include "hypervisor/vcpu/setup/guest_segments.hpp"

namespace hvp::vmx {
namespace {

Failure unsupported_segment(std::size_t index) {
    static constexpr Explanation why{
        .step = "segments",
        .rule = {"3A", "3.4.5", "Segment Descriptors"},
        .remedy = "a 64-bit host system has all selectors in the GDT and a TSS with limit 67h",
    };
    return {
        .kind = FailureKind::unexpected, .why = &why, .number = static_cast<std::uint32_t>(index)};
}

}  // namespace

std::expected<Segments, Failure> describe_segments(const arch::ProcessorState& state) {
    const std::array selectors{state.es, state.cs, state.ss,   state.ds,
                               state.fs, state.gs, state.ldtr, state.tr};
    Segments segments{};
    for (std::size_t i = 0; i < selectors.size(); ++i) {
        const auto segment = arch::look_up(state.gdt(), selectors[i]);
        if (!segment) {
            return std::unexpected{unsupported_segment(i)};
        }
        segments[i] = *segment;
    }
    // A VM exit sets TR's limit to 67h, and we do not put back another one.
    // [SDM 3C 27.5.2 "Loading Host Segment and Descriptor-Table Registers"]
    if (segments[7].limit != arch::SegmentLimit{0x67}) {
        return std::unexpected{unsupported_segment(7)};
    }
    // In 64-bit mode these two bases come from MSRs.
    // [SDM 3A 3.4.4 "Segment Loading Instructions in IA-32e Mode"]
    segments[4].base = state.fs_base;
    segments[5].base = state.gs_base;
    return segments;
}

}  // namespace hvp::vmx
