// The exception that ended a run: which one, where, what the processor met when it wanted to
// deliver it. The processor's log has the exceptions; a replay shows the instruction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lab/machine/exception_log.hpp"
#include "tool/record/symbols/addresses.hpp"
#include "tool/record/timeline.hpp"
#include "tool/replay/replayed_vmcs.hpp"

namespace hvp::tool {

struct EndingFault {
    enum class Kind {
        triple_fault,  ///< the machine stopped
        exit,          ///< the guest's last VM exit: its triple fault, or an exception
        bug_check,     ///< the lab's kernel had no handler
    };
    Kind kind{};
    unsigned cpu = 0;
    lab::ExceptionChain chain{};
    std::uint64_t bug_check_rip = 0;  ///< where the lab's kernel saw it

    friend bool operator==(const EndingFault&, const EndingFault&) = default;
};

/// Returns  the exception that the run's last event is about, if the log has it
[[nodiscard]] std::optional<EndingFault> ending_fault(const Timeline& timeline,
                                                      const lab::ExceptionLog& exceptions);

struct FaultReport {
    std::string text;
    Json json;
};

/// Runs the machine once more up to the instruction. Looks its place up in `names`.
///
/// Returns  nothing when the replay did not get there, when it was another exception than the one
///          that the bug check is about, or when that has said everything already
[[nodiscard]] std::optional<FaultReport> report_fault(const EndingFault& fault,
                                                      const Timeline& timeline,
                                                      const ReplayOfRun& replay,
                                                      AddressNames& names);

}  // namespace hvp::tool
