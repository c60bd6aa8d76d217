// Where code may run, as a type: what needs an IRQL asks for its token.
#pragma once

namespace hvp::windows {

/// Proof that the code runs at PASSIVE_LEVEL, outside VMX operation. A VM-exit handler gets none,
/// so it cannot call what allocates.
class AtPassiveLevel {
public:
    /// For DriverEntry and DriverUnload only: Windows calls both at PASSIVE_LEVEL.
    /// [Windows: DRIVER_INITIALIZE], [Windows: DRIVER_UNLOAD]
    [[nodiscard]] static AtPassiveLevel in_driver_entry() { return {}; }

private:
    AtPassiveLevel() = default;
};

}  // namespace hvp::windows
