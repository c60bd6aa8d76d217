// What the processors did, counted: the witness that no code in the machine can influence.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lab/machine/processor_log.hpp"
#include "tool/record/event.hpp"
#include "tool/record/failed_instruction.hpp"

namespace hvp::tool {

/// Returns  the event as events.jsonl has it.
[[nodiscard]] Event to_event(const lab::ProcessorEvent& event);

class ProcessorRecord {
public:
    struct Entry {
        std::uint64_t t;
        bool by_vmlaunch;  ///< and so not the end of the exit before
    };
    struct Exit {
        std::uint64_t t;
        std::uint64_t qualification;
        std::uint16_t reason_number;
    };
    struct Processor {
        std::vector<Entry> entries;
        std::vector<Exit> exits;
        std::vector<lab::ProcessorEvent> entry_failures;
        std::vector<FailedInstruction> failed_instructions;  ///< VMfail
        std::uint64_t last_attempt_at = ~std::uint64_t{0};   ///< the last VMLAUNCH or VMRESUME
        bool last_is_vmlaunch = false;  ///< of the instructions that enter a guest
    };

    void add(const lab::ProcessorEvent& event);

    [[nodiscard]] const std::map<unsigned, Processor>& processors() const { return processors_; }
    /// Returns  how many exits there were on all processors.
    [[nodiscard]] std::uint64_t exit_count() const;
    /// Returns  an exit reason's name in the emulator's words.
    [[nodiscard]] std::string reason(std::uint16_t number) const;
    /// Returns  the line of the log that reported this exit.
    [[nodiscard]] std::string line(unsigned cpu, const Exit& exit) const;

    /// Returns  `{"0": {"HLT": 1}}`: how often each processor left its guest, by reason.
    [[nodiscard]] Json exits() const;
    /// Returns  ticks from exit to the VMRESUME that ends it by reason, on processor 0 alone. A
    ///          guest's last exit has none: the VMLAUNCH after it begins another guest.
    [[nodiscard]] Json root_ticks() const;
    [[nodiscard]] Json entry_failures() const;

private:
    std::map<unsigned, Processor> processors_;
    std::map<std::uint16_t, std::string> reasons_;
};

}  // namespace hvp::tool
