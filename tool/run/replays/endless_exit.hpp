// A guest that exits again and again at one instruction: seen by the debugger, and told.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tool/record/event.hpp"
#include "tool/record/no_progress.hpp"
#include "tool/record/symbols/addresses.hpp"
#include "tool/replay/replayed_vmcs.hpp"

namespace hvp::tool {

/// The guest as it was at two exits in a row.
struct EndlessExit {
    /// Names and values, in the order in which people read them.
    using Values = std::vector<std::pair<std::string, std::uint64_t>>;

    RepeatedExit exit;
    std::string reason;  ///< in the emulator's words
    std::uint64_t guest_rip = 0;
    std::uint64_t guest_physical = 0;  ///< of an EPT violation or misconfiguration
    Values state{};
    Values registers{};  ///< the general ones but RSP
};

/// Runs the machine again up to the suspicious exits, and compares the guest at two of them.
///
/// Returns  nothing when the guest got on between them, or the debugger did not get there
[[nodiscard]] std::optional<EndlessExit> confirm(const RepeatedExit& suspicion, std::string reason,
                                                 const ReplayOfRun& replay);

/// Returns  "exit 12 HLT at the same guest RIP 4,096 times: RIP is not advanced; at …"
[[nodiscard]] std::string sentence(const EndlessExit& endless, const AddressNames& names);
/// Returns  what is wrong in the VMM, most probably.
[[nodiscard]] std::string remedy(const EndlessExit& endless);
/// Returns  the guest's state, for people.
[[nodiscard]] std::string guest_state_text(const EndlessExit& endless, const AddressNames& names);
/// Returns  all of it, for summary.json.
[[nodiscard]] Json to_json(const EndlessExit& endless);

}  // namespace hvp::tool
