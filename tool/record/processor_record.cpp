#include "tool/record/processor_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hvp::tool {
namespace {

using lab::ProcessorEvent;
using lab::ProcessorEventKind;

std::string hexadecimal(std::uint64_t value) {
    return fmt::format("{:#x}", value);
}

Json fields_of(const ProcessorEvent& event) {
    switch (event.kind) {
        case ProcessorEventKind::vm_launch:
        case ProcessorEventKind::vm_resume:
            return {{"vmcs", hexadecimal(event.vmcs)}};
        case ProcessorEventKind::vm_entry:
            return {{"mode", event.text}};
        case ProcessorEventKind::vm_exit:
            return {{"reason", event.reason},
                    {"reason_number", event.reason_number},
                    {"qualification", hexadecimal(event.qualification)}};
        case ProcessorEventKind::entry_failure:
            return {{"reason", event.reason},
                    {"reason_number", event.reason_number},
                    {"qualification", hexadecimal(event.qualification)},
                    {"text", event.text}};
        case ProcessorEventKind::vm_fail:
        case ProcessorEventKind::triple_fault:
            return {{"text", event.text}};
    }
    return Json::object();
}

std::string name_of(ProcessorEventKind kind) {
    switch (kind) {
        case ProcessorEventKind::vm_launch:
            return "VmLaunch";
        case ProcessorEventKind::vm_resume:
            return "VmResume";
        case ProcessorEventKind::vm_entry:
            return "VmEntry";
        case ProcessorEventKind::vm_exit:
            return "VmExit";
        case ProcessorEventKind::vm_fail:
            return "VmFail";
        case ProcessorEventKind::entry_failure:
            return "EntryFailure";
        case ProcessorEventKind::triple_fault:
            return "TripleFault";
    }
    return {};
}

}  // namespace

Event to_event(const ProcessorEvent& event) {
    return {.t = event.t,
            .cpu = event.cpu,
            .from = "processor",
            .name = name_of(event.kind),
            .fields = fields_of(event)};
}

void ProcessorRecord::add(const ProcessorEvent& event) {
    Processor& processor = processors_[event.cpu];
    if (event.kind == ProcessorEventKind::vm_entry) {
        processor.entries.push_back({event.t, processor.last_is_vmlaunch});
    } else if (event.kind == ProcessorEventKind::vm_launch ||
               event.kind == ProcessorEventKind::vm_resume) {
        processor.last_is_vmlaunch = event.kind == ProcessorEventKind::vm_launch;
        processor.last_attempt_at = event.t;
    } else if (event.kind == ProcessorEventKind::vm_fail) {
        const bool is_entry = event.t == processor.last_attempt_at;
        const char* const entry = processor.last_is_vmlaunch ? "VMLAUNCH" : "VMRESUME";
        if (auto failed = logged_failure(event.text, is_entry ? entry : "")) {
            processor.failed_instructions.push_back(std::move(*failed));
        }
    } else if (event.kind == ProcessorEventKind::entry_failure) {
        processor.entry_failures.push_back(event);
    } else if (event.kind == ProcessorEventKind::vm_exit) {
        processor.exits.push_back({event.t, event.qualification, event.reason_number});
        reasons_.try_emplace(event.reason_number, event.reason);
    }
}

std::uint64_t ProcessorRecord::exit_count() const {
    std::uint64_t count = 0;
    for (const auto& [cpu, processor] : processors_) {
        count += processor.exits.size();
    }
    return count;
}

std::string ProcessorRecord::reason(std::uint16_t number) const {
    const auto found = reasons_.find(number);
    return found == reasons_.end() ? fmt::format("{}", number) : found->second;
}

std::string ProcessorRecord::line(unsigned cpu, const Exit& exit) const {
    return lab::exit_line({.kind = ProcessorEventKind::vm_exit,
                           .t = exit.t,
                           .cpu = cpu,
                           .vmcs = 0,
                           .reason_number = exit.reason_number,
                           .reason = reason(exit.reason_number),
                           .qualification = exit.qualification,
                           .text = {}});
}

Json ProcessorRecord::exits() const {
    Json all = Json::object();
    for (const auto& [cpu, processor] : processors_) {
        std::map<std::uint16_t, std::uint64_t> counts;
        for (const Exit& exit : processor.exits) {
            ++counts[exit.reason_number];
        }
        for (const auto& [number, count] : counts) {
            all[std::to_string(cpu)][reason(number)] = count;
        }
    }
    return all;
}

Json ProcessorRecord::root_ticks() const {
    Json all = Json::object();
    const auto found = processors_.find(0);
    if (found == processors_.end()) {
        return all;
    }
    const Processor& processor = found->second;
    std::map<std::uint16_t, std::vector<std::uint64_t>> spans;
    auto entry = processor.entries.begin();
    for (const Exit& exit : processor.exits) {
        entry = std::ranges::lower_bound(entry, processor.entries.end(), exit.t, {}, &Entry::t);
        if (entry == processor.entries.end()) {
            break;  // the last exit has no entry after it
        }
        if (!entry->by_vmlaunch) {
            spans[exit.reason_number].push_back(entry->t - exit.t);
        }
    }
    for (auto& [number, ticks] : spans) {
        std::ranges::sort(ticks);
        all[reason(number)] = {{"n", ticks.size()},
                               {"min", ticks.front()},
                               {"median", ticks[ticks.size() / 2]},
                               {"max", ticks.back()}};
    }
    return all;
}

Json ProcessorRecord::entry_failures() const {
    Json all = Json::array();
    for (const auto& [cpu, processor] : processors_) {
        for (const ProcessorEvent& failure : processor.entry_failures) {
            Json entry = {{"t", failure.t}, {"cpu", cpu}};
            entry.update(fields_of(failure));
            all.push_back(std::move(entry));
        }
    }
    return all;
}

}  // namespace hvp::tool
