// KeQueryPerformanceCounter, KeStallExecutionProcessor.
#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/clock.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::ke {

/// [Windows: KeQueryPerformanceCounter] Any IRQL. The unit is 100 ns, and a hundred million
/// executed instructions are a second.
NT_EXPORT std::uint64_t KeQueryPerformanceCounter(std::uint64_t* frequency) {
    examiner::check_stack("KeQueryPerformanceCounter",
                          examiner::caller(__builtin_return_address(0)));
    if (frequency != nullptr) {
        *frequency = performance_frequency;
    }
    constexpr std::uint64_t instructions_per_second = 1000ULL * clock_ticks;
    return time_stamp() / (instructions_per_second / performance_frequency);
}

/// [Windows: KeStallExecutionProcessor] A loop of three instructions; not RDTSC, which would write
/// a line into the emulator's log each time.
NT_EXPORT void KeStallExecutionProcessor(std::uint32_t microseconds) {
    examiner::check_stack("KeStallExecutionProcessor",
                          examiner::caller(__builtin_return_address(0)));
    constexpr std::uint64_t instructions_per_microsecond = 100;
    std::uint64_t turns = microseconds * instructions_per_microsecond / 3;
    while (turns != 0) {
        --turns;
        arch::pause();
    }
}

}  // namespace hvp::lab::ke
