#include "tool/run/witnesses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "hypervisor/vmcs/exit_reason.hpp"

namespace hvp::tool {
namespace {

using Processor = ProcessorRecord::Processor;

// An exit of which the driver tells, and which one of the processor's it must be, from 0.
struct ClaimedExit {
    const Event* event;
    std::uint64_t index;
};

// What the driver claims about one processor, in order.
//
// A VMM that notes more than its ring can hold drops some, counts them, and tells how many
// (EventsDropped); the exits' `sequence` numbers then say which. So each exit that is told still
// stands for one certain exit of the processor, and told and dropped ones together are all.
class Claims {
public:
    std::vector<const Event*> entries;
    std::vector<ClaimedExit> exits;
    std::vector<const Event*> entry_failures;
    std::uint64_t dropped = 0;

    void add_entry(const Event& entry) {
        entries.push_back(&entry);
        last_is_entry_ = true;
    }
    // A failure directly behind an entry says that it was none, as in the emulator's log.
    void add_entry_failure(const Event& failure) {
        if (last_is_entry_) {
            entries.pop_back();
        }
        last_is_entry_ = false;
        entry_failures.push_back(&failure);
    }
    void add_exit(const Event& exit) {
        last_is_entry_ = false;
        const std::uint64_t sequence = exit.number("sequence", next_sequence_);
        if (sequence < next_sequence_) {
            next_sequence_ = 0;  // another guest
        }
        const std::uint64_t gap = sequence - next_sequence_;
        missing_ += gap;
        exits.push_back({&exit, exits_so_far_ + gap});
        exits_so_far_ += gap + 1;
        next_sequence_ = sequence + 1;
    }
    // The driver has told all about a guest; what is missing beyond the gaps is missing at the end.
    void add_dropped(std::uint64_t count) {
        dropped += count;
        exits_so_far_ += count - std::min(count, missing_);
        missing_ -= std::min(count, missing_);
        next_sequence_ = 0;
    }
    // How many exits there must have been.
    [[nodiscard]] std::uint64_t exits_in_all() const { return exits_so_far_; }
    // Gaps that nobody has counted.
    [[nodiscard]] std::uint64_t missing() const { return missing_; }

private:
    std::uint64_t exits_so_far_ = 0;
    std::uint64_t next_sequence_ = 0;
    std::uint64_t missing_ = 0;
    bool last_is_entry_ = false;
};

std::map<unsigned, Claims> claims_of_driver(const Timeline& timeline) {
    std::map<unsigned, Claims> claims;
    for (const Event& event : timeline.events()) {
        if (event.is("driver", "VmEntry")) {
            claims[event.cpu].add_entry(event);
        } else if (event.is("driver", "VmExit")) {
            claims[event.cpu].add_exit(event);
        } else if (event.is("driver", "EventsDropped")) {
            claims[event.cpu].add_dropped(event.number("count"));
        } else if (event.is("driver", "EntryFailure")) {
            claims[event.cpu].add_entry_failure(event);
        }
    }
    return claims;
}

std::string exit_words(std::uint64_t number, std::string_view name, std::uint64_t qualification) {
    return fmt::format("VM exit {} {}, qualification {:#x}", number, name, qualification);
}

std::string claim_words(const Event& claim) {
    return exit_words(claim.number("reason_number"), claim.text("reason"),
                      claim.number("qualification"));
}

bool same_exit(const Event& claim, const ProcessorRecord::Exit& exit) {
    // The name has to be the number's name in the SDM's words: a driver that says "CPUID" and means
    // number 12 is wrong, too.
    return claim.number("reason_number", ~0ULL) == exit.reason_number &&
           claim.text("reason") == vmx::exit_reason_name(exit.reason_number) &&
           claim.number("qualification", ~0ULL) == exit.qualification;
}

std::optional<std::string> compare_exits(unsigned cpu, const Claims& claims,
                                         const Processor& processor,
                                         const ProcessorRecord& record) {
    for (const auto& [claim, index] : claims.exits) {
        if (index >= processor.exits.size()) {
            return fmt::format(
                "exit {} of processor {}: the driver says {} (events.jsonl: {}), the "
                "processor logged none",
                index + 1, cpu, claim_words(*claim), json_line(*claim));
        }
        if (!same_exit(*claim, processor.exits[index])) {
            return fmt::format(
                "exit {} of processor {}: the driver says {}, the processor logged {}", index + 1,
                cpu, claim_words(*claim), record.line(cpu, processor.exits[index]));
        }
    }
    if (claims.missing() != 0) {
        return fmt::format(
            "exits of processor {}: by their sequence numbers the driver leaves out {} more than "
            "it "
            "counted as dropped",
            cpu, claims.missing());
    }
    if (processor.exits.size() > claims.exits_in_all()) {
        const std::uint64_t first = claims.exits_in_all();
        return fmt::format(
            "exit {} of processor {}: the driver tells of none, the processor "
            "logged {}",
            first + 1, cpu, record.line(cpu, processor.exits[first]));
    }
    if (processor.exits.size() < claims.exits_in_all()) {
        return fmt::format(
            "exits of processor {}: the driver tells of {} and counted {} as dropped, the "
            "processor "
            "logged {}",
            cpu, claims.exits.size(), claims.dropped, processor.exits.size());
    }
    return std::nullopt;
}

std::optional<std::string> compare_counts(unsigned cpu, std::string_view what, std::size_t claimed,
                                          std::size_t logged) {
    if (claimed == logged) {
        return std::nullopt;
    }
    return fmt::format("{} of processor {}: the driver tells of {}, the processor logged {}", what,
                       cpu, claimed, logged);
}

// With each exit that was dropped one entry may be: the guest's last exit has none behind it.
std::optional<std::string> compare_entries(unsigned cpu, const Claims& claims,
                                           const Processor& processor) {
    const std::size_t told = claims.entries.size();
    const std::size_t logged = processor.entries.size();
    if (told <= logged && logged - told <= claims.dropped) {
        return std::nullopt;
    }
    return compare_counts(cpu, "VM entries", told, logged);
}

std::optional<std::string> compare_failures(unsigned cpu, const Claims& claims,
                                            const Processor& processor) {
    if (auto difference = compare_counts(cpu, "failed VM entries", claims.entry_failures.size(),
                                         processor.entry_failures.size())) {
        return difference;
    }
    for (std::size_t i = 0; i < claims.entry_failures.size(); ++i) {
        const Event& claim = *claims.entry_failures[i];
        const lab::ProcessorEvent& logged = processor.entry_failures[i];
        // Bit 31 of the field only says that the entry failed.
        // [SDM 3C 24.9.1 "Basic VM-Exit Information"]
        const std::uint64_t number = claim.number("reason_number") & 0xFFFF;
        if (number != logged.reason_number) {
            return fmt::format(
                "failed VM entry {} of processor {}: the driver says {}, the "
                "processor logged {}",
                i + 1, cpu, number, lab::exit_line(logged));
        }
    }
    return std::nullopt;
}

}  // namespace

WitnessReport compare_witnesses(const Timeline& timeline, const ProcessorRecord& processors,
                                bool driver_must_speak) {
    std::map<unsigned, Claims> claims = claims_of_driver(timeline);
    const bool speaks = std::ranges::any_of(claims, [](const auto& entry) {
        return !entry.second.entries.empty() || !entry.second.exits.empty();
    });
    if (!speaks && !driver_must_speak) {
        return {.answer = "driver silent", .disagreement = {}};
    }
    std::map<unsigned, Processor> logged = processors.processors();
    for (unsigned cpu = 0; cpu < lab::ProcessorLog::most_processors; ++cpu) {
        const Claims& said = claims[cpu];
        const Processor& did = logged[cpu];
        auto difference = compare_exits(cpu, said, did, processors);
        if (!difference) {
            difference = compare_entries(cpu, said, did);
        }
        if (!difference) {
            difference = compare_failures(cpu, said, did);
        }
        if (difference) {
            return {.answer = "disagree", .disagreement = *difference};
        }
    }
    return {.answer = "agree", .disagreement = {}};
}

}  // namespace hvp::tool
