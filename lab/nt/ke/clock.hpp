// The clock: a periodic interrupt.
#pragma once

#include <cstdint>

namespace hvp::lab::ke {

/// Windows' vector of the clock.
inline constexpr std::uint8_t clock_vector = 0xD1;

/// Instructions between two interrupts. The machine is taken to run 100 million a second, so this
/// is a millisecond.
inline constexpr std::uint32_t clock_ticks = 100'000;

/// What KeQueryPerformanceCounter counts in a second.
inline constexpr std::uint64_t performance_frequency = 10'000'000;

/// Fills the page of shared user data. Processor 0 keeps the time in it. The first clock interrupt
/// after `timeout_ticks` stops the machine, whichever processor takes it; 0: never.
void start_time(std::uint64_t timeout_ticks);

/// Starts this processor's timer.
void start_clock_interrupt();

/// The time-stamp counter, by RDTSCP where the processor has it, as Windows reads it, at each clock
/// interrupt too: a guest in which the instruction raises #UD does not survive one.
[[nodiscard]] std::uint64_t time_stamp();

/// The time since the start in units of 100 ns, and the system time of the start.
/// [Windows: KeQueryInterruptTime, KeQuerySystemTime]
[[nodiscard]] std::uint64_t interrupt_time();
[[nodiscard]] std::uint64_t start_of_system_time();

/// Where    CLOCK_LEVEL: the trap path with interrupts off
void on_clock_interrupt();

}  // namespace hvp::lab::ke
