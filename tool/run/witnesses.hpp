// Compares what the driver reported with what the processor logged.
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
/// qualification, failed entries. `driver_must_report`: a stage has to report what it does;
/// another driver may report nothing.
[[nodiscard]] WitnessReport compare_witnesses(const Timeline& timeline,
                                              const ProcessorRecord& processors,
                                              bool driver_must_report);

}  // namespace hvp::tool
