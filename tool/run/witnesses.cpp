#include "tool/run/witnesses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <vector>

#include "tool/record/exit_pairs.hpp"

namespace hvp::tool {
namespace {

using Processor = ProcessorRecord::Processor;

std::string exit_words(std::uint64_t number, std::string_view name, std::uint64_t qualification) {
    return fmt::format("VM exit {} {}, qualification {:#x}", number, name, qualification);
}

std::string reported_words(const Event& reported) {
    return exit_words(reported.number("reason_number"), reported.text("reason"),
                      reported.number("qualification"));
}

std::optional<std::string> compare_exits(unsigned cpu, const DriverReport& report,
                                         const Processor& processor,
                                         const ProcessorRecord& record) {
    for (const auto& [reported, index] : report.exits()) {
        if (index >= processor.exits.size()) {
            return fmt::format(
                "exit {} of processor {}: the driver says {} (events.jsonl: {}), the "
                "processor logged none",
                index + 1, cpu, reported_words(*reported), json_line(*reported));
        }
        const ProcessorRecord::Exit& logged = processor.exits[index];
        if (!reports_exit(*reported, logged.reason_number, logged.qualification)) {
            return fmt::format(
                "exit {} of processor {}: the driver says {}, the processor logged {}", index + 1,
                cpu, reported_words(*reported), record.line(cpu, logged));
        }
    }
    if (report.missing() != 0) {
        return fmt::format(
            "exits of processor {}: by their sequence numbers the driver leaves out {} more than "
            "it counted as dropped",
            cpu, report.missing());
    }
    if (processor.exits.size() > report.exits_in_all()) {
        const std::uint64_t first = report.exits_in_all();
        return fmt::format(
            "exit {} of processor {}: the driver reported none, the processor "
            "logged {}",
            first + 1, cpu, record.line(cpu, processor.exits[first]));
    }
    if (processor.exits.size() < report.exits_in_all()) {
        return fmt::format(
            "exits of processor {}: the driver reported {} and counted {} as dropped, the "
            "processor "
            "logged {}",
            cpu, report.exits().size(), report.dropped(), processor.exits.size());
    }
    return std::nullopt;
}

std::optional<std::string> compare_counts(unsigned cpu, std::string_view what, std::size_t reported,
                                          std::size_t logged) {
    if (reported == logged) {
        return std::nullopt;
    }
    return fmt::format("{} of processor {}: the driver reported {}, the processor logged {}", what,
                       cpu, reported, logged);
}

// With each exit that was dropped one entry may be: after the guest's last exit there is none.
std::optional<std::string> compare_entries(unsigned cpu, const DriverReport& report,
                                           const Processor& processor) {
    const std::size_t reported = report.entries().size();
    const std::size_t logged = processor.entries.size();
    if (reported <= logged && logged - reported <= report.dropped()) {
        return std::nullopt;
    }
    return compare_counts(cpu, "VM entries", reported, logged);
}

std::optional<std::string> compare_failures(unsigned cpu, const DriverReport& report,
                                            const Processor& processor) {
    if (auto difference = compare_counts(cpu, "failed VM entries", report.entry_failures().size(),
                                         processor.entry_failures.size())) {
        return difference;
    }
    for (std::size_t i = 0; i < report.entry_failures().size(); ++i) {
        const Event& reported = *report.entry_failures()[i];
        const lab::ProcessorEvent& logged = processor.entry_failures[i];
        // Bit 31 of the field only says that the entry failed.
        // [SDM 3C 24.9.1 "Basic VM-Exit Information"]
        const std::uint64_t number = reported.number("reason_number") & 0xFFFF;
        if (number != logged.reason_number) {
            return fmt::format(
                "failed VM entry {} of processor {}: the driver says {}, the "
                "processor logged {}",
                i + 1, cpu, number, lab::exit_line(logged));
        }
    }
    return std::nullopt;
}

// A VM entry that was refused is known to both. Of other instructions that fail, a driver reports
// what it likes, but what it reports must have happened, in that order.
std::optional<std::string> compare_failed_instructions(unsigned cpu, const DriverReport& report,
                                                       const Processor& processor) {
    auto logged = processor.failed_instructions.begin();
    const auto end = processor.failed_instructions.end();
    for (const FailedInstruction& reported : report.failed_instructions()) {
        while (logged != end && !logged->is_vm_entry() && !reports_failure(reported, *logged)) {
            ++logged;
        }
        if (logged == end || !reports_failure(reported, *logged)) {
            return fmt::format(
                "instructions that failed on processor {}: the driver says {}, the processor "
                "logged {}",
                cpu, reported.words, logged == end ? "none" : logged->words);
        }
        ++logged;
    }
    logged = std::find_if(logged, end, std::mem_fn(&FailedInstruction::is_vm_entry));
    if (logged == end) {
        return std::nullopt;
    }
    return fmt::format(
        "instructions that failed on processor {}: the driver reports no {}, the processor logged "
        "{}",
        cpu, logged->instruction, logged->words);
}

}  // namespace

WitnessReport compare_witnesses(const Timeline& timeline, const ProcessorRecord& processors,
                                bool driver_must_report) {
    std::map<unsigned, DriverReport> reports = driver_reports(timeline);
    const bool reports_any = std::ranges::any_of(reports, [](const auto& entry) {
        const DriverReport& report = entry.second;
        return !report.entries().empty() || !report.exits().empty() ||
               !report.entry_failures().empty() || !report.failed_instructions().empty();
    });
    if (!reports_any && !driver_must_report) {
        return {.answer = "driver silent", .disagreement = {}};
    }
    std::map<unsigned, Processor> logged = processors.processors();
    for (unsigned cpu = 0; cpu < lab::ProcessorLog::most_processors; ++cpu) {
        const DriverReport& reported = reports[cpu];
        const Processor& did = logged[cpu];
        auto difference = compare_exits(cpu, reported, did, processors);
        if (!difference) {
            difference = compare_entries(cpu, reported, did);
        }
        if (!difference) {
            difference = compare_failures(cpu, reported, did);
        }
        if (!difference) {
            difference = compare_failed_instructions(cpu, reported, did);
        }
        if (difference) {
            return {.answer = "disagree", .disagreement = *difference};
        }
    }
    return {.answer = "agree", .disagreement = {}};
}

}  // namespace hvp::tool
