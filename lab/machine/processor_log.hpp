// Parses the emulator's log, byte by byte as it arrives, into VMX events of the processors.
//
// Pure: no clock, no file, no process. The log is Bochs 2.7's; each line is
// `00000014767d[CPU0  ] VMEXIT reason = 10 (CPUID) qualification=0x0`: the tick, a level, the
// device, the text. Most lines are about paging and interrupts; they are skipped by their first
// letters.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "lab/machine/exception_log.hpp"

namespace hvp::lab {

/// The only emulator whose log this parser knows.
inline constexpr std::string_view known_emulator = "Bochs 2.7";

enum class ProcessorEventKind {
    vm_launch,  ///< VMLAUNCH began; its result follows
    vm_resume,  ///< the same for VMRESUME
    vm_entry,   ///< the guest runs
    vm_exit,
    vm_fail,        ///< a VMX instruction ended with VMfail, or VMXON with an error message
    entry_failure,  ///< exit 33, 34 or 41: the guest did not run
    triple_fault,
};

struct ProcessorEvent {
    ProcessorEventKind kind{};
    std::uint64_t t = 0;
    unsigned cpu = 0;
    std::uint64_t vmcs = 0;           ///< vm_launch, vm_resume: its physical address
    std::uint16_t reason_number = 0;  ///< vm_exit, entry_failure: the basic exit reason
    std::string reason{};             ///< its name, in the emulator's words
    std::uint64_t qualification = 0;
    std::string text{};  ///< vm_entry: the guest's mode; failures: the error message

    friend bool operator==(const ProcessorEvent&, const ProcessorEvent&) = default;
};

/// The line of the log that reports this exit, as Bochs 2.7 writes it.
[[nodiscard]] std::string exit_line(const ProcessorEvent& exit);

class ProcessorLog {
public:
    struct Sinks {
        std::function<void(const ProcessorEvent&)> event;
        std::function<void(std::string_view line)> vmx_line;  ///< verbatim, without its line end
    };
    static constexpr unsigned most_processors = 8;

    explicit ProcessorLog(Sinks sinks) : sinks_{std::move(sinks)} {}

    void feed(std::string_view bytes);
    /// End of the log: an entry whose result is still open now counts as one.
    void finish();

    /// Returns  name and version from the log's first line ("Bochs 2.7"), empty before it came.
    [[nodiscard]] const std::string& emulator() const { return emulator_; }
    /// Returns  the tick of the last line that had one.
    [[nodiscard]] std::uint64_t last_tick() const { return last_tick_; }
    /// Returns  whether the emulator, when it ended, found all processors halted.
    [[nodiscard]] bool all_halted(unsigned processors) const {
        return halted_.count() == processors;
    }
    /// Returns  the text of the emulator's last panic, for example that of a triple fault.
    [[nodiscard]] const std::string& panic() const { return panic_; }
    /// Returns  the exceptions that the processors raised last.
    [[nodiscard]] const ExceptionLog& exceptions() const { return exceptions_; }

private:
    // VMLAUNCH or VMRESUME has begun on a processor, and the log does not have its result yet.
    struct Attempt {
        std::uint64_t t = 0;
        bool announced = false;  ///< `VMENTER to …`, which comes before the guest-state checks
        std::string mode;
        std::string complaint;
    };

    void line(std::string_view line);
    void processor_line(std::uint64_t t, unsigned cpu, std::string_view text,
                        std::string_view whole);
    void exit(std::uint64_t t, unsigned cpu, std::string_view text);
    void settle_attempt(unsigned cpu);

    Sinks sinks_;
    std::string rest_;  ///< the incomplete last line
    std::string emulator_;
    std::string panic_;
    ExceptionLog exceptions_;
    std::bitset<most_processors> halted_;
    std::uint64_t last_tick_ = 0;
    std::array<std::optional<Attempt>, most_processors> attempts_;
};

}  // namespace hvp::lab
