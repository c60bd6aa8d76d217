#include "lab/machine/processor_log.hpp"

#include <fmt/format.h>

#include <charconv>
#include <system_error>

namespace hvp::lab {
namespace {

// Longer lines are cut; all VMX lines are much shorter.
constexpr std::size_t longest_log_line = 4096;
constexpr std::size_t tick_digits = 11;

constexpr bool is_entry_failure(std::uint16_t reason) {
    // [SDM 3C 26.7 "VM-Entry Failures During or After Loading Guest State"]
    return reason == 33 || reason == 34 || reason == 41;
}

// Takes a number from the front of `text`.
template <typename T>
std::optional<T> take_number(std::string_view& text, int base = 10) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc{}) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

bool take(std::string_view& text, std::string_view start) {
    if (!text.starts_with(start)) {
        return false;
    }
    text.remove_prefix(start.size());
    return true;
}

std::optional<std::uint64_t> take_hexadecimal(std::string_view& text) {
    return take(text, "0x") ? take_number<std::uint64_t>(text, 16) : std::nullopt;
}

}  // namespace

std::string exit_line(const ProcessorEvent& exit) {
    return fmt::format("{:011}d[CPU{}  ] VMEXIT reason = {} ({}) qualification=0x{:x}", exit.t,
                       exit.cpu, exit.reason_number, exit.reason, exit.qualification);
}

void ProcessorLog::feed(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        if (end == std::string_view::npos) {
            rest_ += bytes.substr(0, longest_log_line - std::min(longest_log_line, rest_.size()));
            return;
        }
        if (rest_.empty()) {
            line(bytes.substr(0, std::min(end, longest_log_line)));
        } else {
            rest_ += bytes.substr(
                0, std::min(end, longest_log_line - std::min(longest_log_line, rest_.size())));
            line(rest_);
            rest_.clear();
        }
        bytes.remove_prefix(end + 1);
    }
}

void ProcessorLog::finish() {
    if (!rest_.empty()) {
        line(rest_);
        rest_.clear();
    }
    for (unsigned cpu = 0; cpu < most_processors; ++cpu) {
        settle_attempt(cpu);
    }
}

void ProcessorLog::line(std::string_view whole) {
    // 00000014767d[CPU0  ] text
    std::string_view text = whole;
    const auto t = take_number<std::uint64_t>(text);
    if (!t || whole.size() - text.size() < tick_digits || text.size() < 10 || text[1] != '[' ||
        text[8] != ']') {
        return;
    }
    last_tick_ = *t;
    const char level = text[0];
    const std::string_view who = text.substr(2, 6);
    text.remove_prefix(10);
    if (level == 'p' && take(text, ">>PANIC<< ")) {
        panic_ = text;
    }
    if (who.starts_with("CPU") && who[3] >= '0' && who[3] < '0' + int{most_processors}) {
        const auto cpu = static_cast<unsigned>(who[3] - '0');
        exceptions_.line(*t, cpu, level == 'e', text);
        processor_line(*t, cpu, text, whole);
    } else if (emulator_.empty() && take(text, "Bochs x86 Emulator ")) {
        emulator_ = fmt::format("Bochs {}", text);
    }
}

void ProcessorLog::processor_line(std::uint64_t t, unsigned cpu, std::string_view text,
                                  std::string_view whole) {
    using enum ProcessorEventKind;
    if (text.contains("3rd (") && text.contains("exception with no resolution")) {
        settle_attempt(cpu);
        sinks_.vmx_line(whole);
        sinks_.event({.kind = triple_fault, .t = t, .cpu = cpu, .text = std::string{text}});
        return;
    }
    if (text.starts_with("CPU is in ")) {
        halted_.set(cpu, text.ends_with("(halted)"));
    }
    if (!text.starts_with("VM") && !text.starts_with("#GP: VM")) {
        return;
    }
    sinks_.vmx_line(whole);
    std::optional<Attempt>& attempt = attempts_[cpu];
    if (text.starts_with("VMLAUNCH VMCS ptr: ") || text.starts_with("VMRESUME VMCS ptr: ")) {
        settle_attempt(cpu);
        const bool launch = text.starts_with("VMLAUNCH");
        std::string_view pointer = text.substr(std::string_view{"VMLAUNCH VMCS ptr: "}.size());
        sinks_.event({.kind = launch ? vm_launch : vm_resume,
                      .t = t,
                      .cpu = cpu,
                      .vmcs = take_hexadecimal(pointer).value_or(0)});
        attempt =
            Attempt{.t = t, .announced = false, .mode = "32-bit or real mode", .complaint = {}};
    } else if (take(text, "VMENTER to ")) {
        if (!attempt) {
            attempt = Attempt{.t = t, .announced = false, .mode = {}, .complaint = {}};
        }
        attempt->announced = true;
        attempt->t = t;
        attempt->mode = text;
    } else if (text.starts_with("VMEXIT reason = ")) {
        exit(t, cpu, text);
    } else if (attempt && attempt->t == t &&
               (text.starts_with("VMFAIL: ") || text.starts_with("VMENTER FAIL: ") ||
                text.ends_with("Checks Failed") || text.contains("Error when loading guest MSR"))) {
        // Bochs logs some broken guest-state rules as `VMFAIL` after `VMENTER`. The next line shows
        // whether the entry failed by VMfail or by a VM exit: only an exit 33, 34 or 41 follows
        // directly.
        if (attempt->complaint.empty()) {
            attempt->complaint = text;
        }
    } else if (text.starts_with("VMFAIL: ") || text.starts_with("VMXON: ") ||
               text.starts_with("VMPTRLD: ") || text.starts_with("VMCLEAR: ") ||
               text.starts_with("VMABORT: ") || text.starts_with("#GP: VM")) {
        settle_attempt(cpu);
        sinks_.event({.kind = vm_fail, .t = t, .cpu = cpu, .text = std::string{text}});
    }
}

void ProcessorLog::exit(std::uint64_t t, unsigned cpu, std::string_view text) {
    using enum ProcessorEventKind;
    ProcessorEvent event{.kind = vm_exit, .t = t, .cpu = cpu};
    take(text, "VMEXIT reason = ");
    const auto number = take_number<std::uint16_t>(text);
    const bool has_name = take(text, " (");
    const std::size_t name_bytes = text.rfind(") qualification=");
    if (!number || !has_name || name_bytes == std::string_view::npos) {
        return;  // cut or garbled
    }
    event.reason_number = *number;
    event.reason = text.substr(0, name_bytes);
    text.remove_prefix(name_bytes);
    take(text, ") qualification=");
    event.qualification = take_hexadecimal(text).value_or(0);
    if (is_entry_failure(*number)) {
        event.kind = entry_failure;
        if (std::optional<Attempt>& attempt = attempts_[cpu]) {
            event.text = attempt->complaint;
            attempt.reset();
        }
    } else {
        // A guest that executes VMLAUNCH or VMRESUME is logged as a VMM is, and then exits.
        constexpr std::uint16_t vmlaunch = 20;
        constexpr std::uint16_t vmresume = 24;
        std::optional<Attempt>& attempt = attempts_[cpu];
        if (attempt && !attempt->announced && attempt->t == t &&
            (*number == vmlaunch || *number == vmresume)) {
            attempt.reset();
        }
        settle_attempt(cpu);
    }
    sinks_.event(event);
}

void ProcessorLog::settle_attempt(unsigned cpu) {
    using enum ProcessorEventKind;
    std::optional<Attempt>& attempt = attempts_[cpu];
    if (!attempt) {
        return;
    }
    if (attempt->complaint.empty()) {
        sinks_.event({.kind = vm_entry, .t = attempt->t, .cpu = cpu, .text = attempt->mode});
    } else {
        sinks_.event({.kind = vm_fail, .t = attempt->t, .cpu = cpu, .text = attempt->complaint});
    }
    attempt.reset();
}

}  // namespace hvp::lab
