// summary.json: the run in one object, for programs.
#pragma once

#include "tool/base/options.hpp"
#include "tool/record/recording.hpp"
#include "tool/run/verdict.hpp"

namespace hvp::tool {

struct DriverFile {
    std::string name;  ///< launch.sys
    std::uint64_t bytes = 0;
    std::string sha256;
};

[[nodiscard]] Json summary(const RunOptions& options, const DriverFile& driver,
                           const Recording& recording, const Verdict& verdict,
                           const WitnessReport& witnesses, double wall_seconds);

}  // namespace hvp::tool
