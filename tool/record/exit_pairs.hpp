// Which event of the driver is about which exit of the processor: one rule for the comparison of
// the witnesses and for the story.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "tool/record/failed_instruction.hpp"
#include "tool/record/timeline.hpp"

namespace hvp::tool {

/// A driver's VmExit, and which of the processor's exits it must be.
struct ReportedExit {
    const Event* event;
    std::uint64_t index;  ///< in the processor's record: people count from 1
};

/// What the driver reports about one processor, in order.
///
/// A VMM that records more than its ring can hold drops some exits, and reports how many
/// (EventsDropped); the `sequence` numbers of the others then say which. So each exit that is
/// reported is still one certain exit of the processor, and reported and dropped ones
/// together are all.
class DriverReport {
public:
    void add(const Event& event);

    [[nodiscard]] const std::vector<const Event*>& entries() const { return entries_; }
    [[nodiscard]] const std::vector<ReportedExit>& exits() const { return exits_; }
    [[nodiscard]] const std::vector<const Event*>& entry_failures() const { return failures_; }
    /// VMX instructions that ended with VMfail, as far as the log tells of them, too.
    [[nodiscard]] const std::vector<FailedInstruction>& failed_instructions() const {
        return failed_instructions_;
    }
    [[nodiscard]] std::uint64_t dropped() const { return dropped_; }
    /// Returns  how many exits there must have been.
    [[nodiscard]] std::uint64_t exits_in_all() const { return exits_so_far_; }
    /// Returns  how many exits are missing by their sequence numbers, and are not counted as
    ///          dropped.
    [[nodiscard]] std::uint64_t missing() const { return missing_; }

private:
    void withdraw_entry();
    void add_exit(const Event& exit);
    void add_dropped(std::uint64_t count);

    std::vector<const Event*> entries_;
    std::vector<ReportedExit> exits_;
    std::vector<const Event*> failures_;
    std::vector<FailedInstruction> failed_instructions_;
    std::uint64_t dropped_ = 0;
    std::uint64_t exits_so_far_ = 0;
    std::uint64_t next_sequence_ = 1;
    std::uint64_t missing_ = 0;
    bool last_is_entry_ = false;
};

/// Returns  the driver's reports by processor.
[[nodiscard]] std::map<unsigned, DriverReport> driver_reports(const Timeline& timeline);

/// Whether a driver's VmExit says what the processor logged. The name has to be the number's name
/// in the SDM's words: a driver that says "CPUID" and means number 12 is wrong, too.
[[nodiscard]] bool reports_exit(const Event& reported, std::uint64_t reason_number,
                                std::uint64_t qualification);

/// Whether a driver's VmxInstructionFailed is about a VM entry, and not about VMXON or VMPTRLD.
[[nodiscard]] bool is_vm_entry(const Event& failed);

/// An exit that both witnesses report alike: the story needs but one line for it.
struct PairedExit {
    const Event* driver = nullptr;       ///< its VmExit about the same exit
    std::optional<std::uint64_t> ticks;  ///< from the exit to the next VM entry, if there was one
};

/// Pairs the processors' exits with those of a driver that names their handlers. Where the two
/// differ, each keeps a line of its own.
class ExitPairs {
public:
    explicit ExitPairs(const Timeline& timeline);

    /// Returns  what belongs to a processor's VmExit; nullptr: it has a line of its own.
    [[nodiscard]] const PairedExit* of(const Event& exit) const;
    /// Whether the event, a driver's VmExit or a processor's VmEntry, is in the line of an exit.
    [[nodiscard]] bool contains(const Event& event) const { return contained_.contains(&event); }

private:
    std::map<const Event*, PairedExit> exits_;
    std::set<const Event*> contained_;
};

}  // namespace hvp::tool
