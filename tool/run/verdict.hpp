// What to make of a run: one result, and one sentence that says why.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lab/machine/emulator.hpp"
#include "tool/base/options.hpp"
#include "tool/record/processor_record.hpp"
#include "tool/record/symbols/addresses.hpp"
#include "tool/record/timeline.hpp"
#include "tool/run/witnesses.hpp"

namespace hvp::tool {

enum class Result { passed, refused, failed, bugcheck, hung };

/// Returns  the result as summary.json has it
[[nodiscard]] std::string result_name(Result result);
/// Returns  the result as people read it: "bug check"
[[nodiscard]] std::string result_words(Result result);

struct Verdict {
    Result result = Result::failed;
    std::string reason;       ///< empty when passed
    std::string rule = {};    ///< the SDM's, where the driver named one
    std::string remedy = {};  ///< what to do
};

/// Everything that a verdict depends on.
struct RunFacts {
    const lab::EmulatorOutcome& outcome;
    const Timeline& timeline;
    const WitnessReport& witnesses;
    const AddressNames& names;
    std::string driver_file;  ///< launch.sys
    std::string emulator;     ///< as its log says
    std::string panic;        ///< the emulator's last words
    bool all_halted = false;  ///< at the end of a machine that had to be stopped
    std::uint64_t timeout_ticks;
};

[[nodiscard]] Verdict judge(const RunFacts& facts);

/// Returns  whether the lab came to its end, so that what driver and processor say is complete.
[[nodiscard]] bool is_complete(const lab::EmulatorOutcome& outcome, const Timeline& timeline);

/// Returns  the addresses that a verdict or a story wants to name in full: those in complaints, and
///          those where a machine hung. None when all is well, for looking them up takes time.
[[nodiscard]] std::vector<std::uint64_t> addresses_to_explain(const Timeline& timeline,
                                                              std::string_view evidence);

/// Returns  the instruction pointers that the emulator's debugger showed, processor by processor.
[[nodiscard]] std::vector<std::uint64_t> instruction_pointers(std::string_view evidence);

}  // namespace hvp::tool
