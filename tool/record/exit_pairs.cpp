#include "tool/record/exit_pairs.hpp"

#include <algorithm>
#include <utility>

#include "hypervisor/vmcs/exit_reason.hpp"

namespace hvp::tool {

void DriverReport::add(const Event& event) {
    if (event.name == "VmEntry") {
        entries_.push_back(&event);
        last_is_entry_ = true;
    } else if (event.name == "VmExit") {
        add_exit(event);
    } else if (event.name == "EventsDropped") {
        add_dropped(event.number("count"));
    } else if (event.name == "EntryFailure") {
        withdraw_entry();
        failures_.push_back(&event);
    } else if (event.name == "VmxInstructionFailed") {
        if (is_vm_entry(event)) {
            withdraw_entry();
        }
        if (auto failed = reported_failure(event)) {
            failed_instructions_.push_back(std::move(*failed));
        }
    }
}

// The driver notes an entry before it tries it. A failure directly after it says that it was none,
// as in the emulator's log.
void DriverReport::withdraw_entry() {
    if (last_is_entry_) {
        entries_.pop_back();
    }
    last_is_entry_ = false;
}

void DriverReport::add_exit(const Event& exit) {
    last_is_entry_ = false;
    const std::uint64_t sequence = exit.number("sequence", next_sequence_);
    if (sequence < next_sequence_) {
        next_sequence_ = sequence;  // another ring, from its beginning
    }
    const std::uint64_t gap = sequence - next_sequence_;
    missing_ += gap;
    exits_.push_back({&exit, exits_so_far_ + gap});
    exits_so_far_ += gap + 1;
    next_sequence_ = sequence + 1;
}

// The driver has reported all about a guest; what is missing beyond the gaps is missing at the end.
// Another guest's exits may go on in the same ring.
void DriverReport::add_dropped(std::uint64_t count) {
    const std::uint64_t at_the_end = count - std::min(count, missing_);
    dropped_ += count;
    exits_so_far_ += at_the_end;
    next_sequence_ += at_the_end;
    missing_ -= count - at_the_end;
}

std::map<unsigned, DriverReport> driver_reports(const Timeline& timeline) {
    std::map<unsigned, DriverReport> reports;
    for (const Event& event : timeline.events()) {
        if (event.from == "driver") {
            reports[event.cpu].add(event);
        }
    }
    return reports;
}

bool reports_exit(const Event& reported, std::uint64_t reason_number, std::uint64_t qualification) {
    return reported.number("reason_number", ~0ULL) == reason_number &&
           reported.text("reason") ==
               vmx::exit_reason_name(static_cast<std::uint16_t>(reason_number)) &&
           reported.number("qualification", ~0ULL) == qualification;
}

bool is_vm_entry(const Event& failed) {
    const std::string instruction = failed.text("instruction");
    return instruction == "VMLAUNCH" || instruction == "VMRESUME" || instruction == "VM entry";
}

ExitPairs::ExitPairs(const Timeline& timeline) {
    struct Processor {
        std::map<std::uint64_t, const Event*> reported;  ///< by the exit's index
        std::uint64_t next_exit = 0;
        PairedExit* open = nullptr;  ///< the last exit, until its entry
        std::uint64_t exit_at = 0;
    };
    std::map<unsigned, Processor> processors;
    for (const auto& [cpu, report] : driver_reports(timeline)) {
        for (const auto& [event, index] : report.exits()) {
            processors[cpu].reported.emplace(index, event);
        }
    }
    for (const Event& event : timeline.events()) {
        if (event.from != "processor") {
            continue;
        }
        Processor& processor = processors[event.cpu];
        if (event.name == "VmExit") {
            processor.open = nullptr;
            const auto found = processor.reported.find(processor.next_exit++);
            if (found != processor.reported.end() && found->second->fields.contains("handler") &&
                reports_exit(*found->second, event.number("reason_number"),
                             event.number("qualification"))) {
                processor.open = &exits_[&event];
                processor.open->driver = found->second;
                processor.exit_at = event.t;
                contained_.insert(found->second);
            }
        } else if (event.name == "VmEntry" && processor.open != nullptr) {
            processor.open->ticks = event.t - processor.exit_at;
            processor.open = nullptr;
            contained_.insert(&event);
        } else if (event.name != "VmResume") {
            processor.open = nullptr;
        }
    }
}

const PairedExit* ExitPairs::of(const Event& exit) const {
    const auto found = exits_.find(&exit);
    return found == exits_.end() ? nullptr : &found->second;
}

}  // namespace hvp::tool
