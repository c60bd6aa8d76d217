// XSAVE and XRSTOR of everything that XCR0 allows.
#include "lab/nt/ke/extended_state.hpp"

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/ke/processor.hpp"

namespace hvp::lab::ke {

void ExtendedState::save() {
    if (features().extended_states != 0) {
        arch::xsave(area_.data());
    } else {
        arch::fxsave(area_.data());
    }
}

void ExtendedState::load() const {
    if (features().extended_states != 0) {
        arch::xrstor(area_.data());
    } else {
        arch::fxrstor(area_.data());
    }
}

}  // namespace hvp::lab::ke
