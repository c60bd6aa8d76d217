// XSAVES and XRSTORS, or XSAVE and XRSTOR, of all states that are enabled, unless they are in their
// initial configuration.
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

/// What the registers hold after FNINIT and with MXCSR as after reset: by the header no state is in
/// use.  [SDM 3A 13.5.4 "Provide an Initialization for the XSAVE State Components"]
constexpr ExtendedState::Area ExtendedState::initial_area(bool compacted) {
    Area area{};
    area[0] = 0x7F;  // FCW 037Fh
    area[1] = 0x03;
    area[24] = initial_mxcsr & 0xFF;
    area[25] = initial_mxcsr >> 8;
    area[527] = compacted ? 0x80 : 0;  // XCOMP_BV, bit 63
    return area;
}

void ExtendedState::save() {
    initial_ = registers_are_initial();
    if (!initial_) {
        save_even_if_unused();
    }
}

void ExtendedState::save_even_if_unused() {
    initial_ = false;
    if (features().xsaves) {
        arch::xsaves(area_.data());
    } else if (features().extended_states != 0) {
        arch::xsave(area_.data());
    } else {
        arch::fxsave(area_.data());
    }
}

void ExtendedState::load() const {
    if (initial_ && registers_are_initial()) {
        return;
    }
    alignas(64) static constexpr Area initial = initial_area(false);
    alignas(64) static constexpr Area initial_compacted = initial_area(true);
    if (features().xsaves) {
        arch::xrstors(initial_ ? initial_compacted.data() : area_.data());
    } else if (features().extended_states != 0) {
        arch::xrstor(initial_ ? initial.data() : area_.data());
    } else {
        arch::fxrstor(initial_ ? initial.data() : area_.data());
    }
}

}  // namespace hvp::lab::ke
