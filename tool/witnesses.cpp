#include "tool/witnesses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "hypervisor/vmx/exit_reason.hpp"

namespace hvp::tool {
namespace {

using Processor = ProcessorRecord::Processor;

// What the driver claims about one processor, in order.
struct Claims {
    std::vector<const Event*> entries;
    std::vector<const Event*> exits;
    std::vector<const Event*> entry_failures;
};

std::map<unsigned, Claims> claims_of_driver(const Timeline& timeline) {
    std::map<unsigned, Claims> claims;
    for (const Event& event : timeline.events()) {
        if (event.is("driver", "VmEntry")) {
            claims[event.cpu].entries.push_back(&event);
        } else if (event.is("driver", "VmExit")) {
            claims[event.cpu].exits.push_back(&event);
        } else if (event.is("driver", "EntryFailure")) {
            claims[event.cpu].entry_failures.push_back(&event);
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
    const std::size_t both = std::min(claims.exits.size(), processor.exits.size());
    for (std::size_t i = 0; i < both; ++i) {
        if (!same_exit(*claims.exits[i], processor.exits[i])) {
            return fmt::format(
                "exit {} of processor {}: the driver says {}, the processor logged {}", i + 1, cpu,
                claim_words(*claims.exits[i]), record.line(cpu, processor.exits[i]));
        }
    }
    if (claims.exits.size() > both) {
        return fmt::format(
            "exit {} of processor {}: the driver says {} (events.jsonl: {}), the "
            "processor logged none",
            both + 1, cpu, claim_words(*claims.exits[both]), json_line(*claims.exits[both]));
    }
    if (processor.exits.size() > both) {
        return fmt::format(
            "exit {} of processor {}: the driver tells of none, the processor "
            "logged {}",
            both + 1, cpu, record.line(cpu, processor.exits[both]));
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
            difference = compare_counts(cpu, "VM entries", said.entries.size(), did.entries.size());
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
