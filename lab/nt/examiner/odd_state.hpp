// Gives a processor a legal but unusual state. A driver that restores the usual values instead of
// those that it found is detected this way.
#pragma once

namespace hvp::lab::examiner {

/// Sets DR0–3 and DR7, FS base, the SYSENTER MSRs and DEBUGCTL to unusual values, different ones on
/// each processor: what was read on one must not be written on another.
void make_states_odd();

/// The flags that a driver finds: RFLAGS.AC too if the state is odd.
inline constexpr unsigned usual_flags = 0x202;
inline constexpr unsigned odd_flags = 0x4'0202;

}  // namespace hvp::lab::examiner
