// Holds what the driver said against what the processor logged.
#pragma once

#include <optional>
#include <string>

#include "tool/record/processor_record.hpp"
#include "tool/record/timeline.hpp"

namespace hvp::tool {

struct WitnessReport {
    std::string answer;        ///< for summary.json: agree, disagree, driver silent, not compared
    std::string disagreement;  ///< the first one: both sides, and the line in question
};

/// Compares, processor by processor and in order: VM entries, VM exits with reason and
/// qualification, failed entries. `driver_must_speak`: a stage has to tell what it did; somebody
/// else's driver may be silent about it.
[[nodiscard]] WitnessReport compare_witnesses(const Timeline& timeline,
                                              const ProcessorRecord& processors,
                                              bool driver_must_speak);

}  // namespace hvp::tool
