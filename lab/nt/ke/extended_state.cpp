// XSAVE and XRSTOR of all states that XCR0 enables, unless they are in their initial configuration.
#include "lab/nt/ke/extended_state.hpp"

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/ke/processor.hpp"

namespace hvp::lab::ke {
namespace {

/// Whether x87, SSE and the rest are in their initial configuration, that is, unused. False on a
/// processor without XINUSE.
bool registers_are_initial() {
    return features().has_xinuse && arch::read_states_in_use() == 0 &&
           arch::read_mxcsr() == ExtendedState::initial_mxcsr;
}

}  // namespace

void ExtendedState::save() {
    initial_ = registers_are_initial();
    if (initial_) {
        return;
    }
    if (features().extended_states != 0) {
        arch::xsave(area_.data());
    } else {
        arch::fxsave(area_.data());
    }
}

void ExtendedState::load() const {
    if (initial_ && registers_are_initial()) {
        return;
    }
    constexpr static ExtendedState nothing_in_use;
    const auto& area = initial_ ? nothing_in_use.area_ : area_;
    if (features().extended_states != 0) {
        arch::xrstor(area.data());
    } else {
        arch::fxrstor(area.data());
    }
}

}  // namespace hvp::lab::ke
