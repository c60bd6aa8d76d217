// Updates the time in the page from which drivers read it (KUSER_SHARED_DATA).
#include "lab/nt/ke/clock.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <string_view>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/hal/apic.hpp"
#include "lab/nt/ke/current_processor.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/scheduler.hpp"
#include "lab/nt/mm/page_tables.hpp"
#include "lab/nt/mm/tlb.hpp"

namespace hvp::lab::ke {
namespace {

/// A 64-bit time that can be read without a lock: the reader waits until both halves agree.
struct SystemTime {
    std::uint32_t low;
    std::uint32_t high_1;
    std::uint32_t high_2;
};

/// [Windows: KUSER_SHARED_DATA structure] The fields that mean something here.
struct SharedUserData {
    std::uint32_t unused_0;
    std::uint32_t tick_count_multiplier;
    SystemTime interrupt_time;
    SystemTime system_time;
    SystemTime time_zone_bias;
    std::uint32_t unused_2c;
    char16_t nt_system_root[260];
    std::array<std::uint8_t, 0x28> unused_238;
    std::uint32_t nt_build_number;
    std::array<std::uint8_t, 8> unused_264;
    std::uint32_t nt_major_version;
    std::uint32_t nt_minor_version;
    std::array<std::uint8_t, 0x60> unused_274;
    std::uint8_t kernel_debugger_enabled;
    std::array<std::uint8_t, 0x2B> unused_2d5;
    std::uint64_t performance_frequency;
    std::array<std::uint8_t, 0x18> unused_308;
    SystemTime tick_count;
};
static_assert(offsetof(SharedUserData, system_time) == 0x014);
static_assert(offsetof(SharedUserData, nt_system_root) == 0x030);
static_assert(offsetof(SharedUserData, nt_build_number) == 0x260);
static_assert(offsetof(SharedUserData, nt_major_version) == 0x26C);
static_assert(offsetof(SharedUserData, kernel_debugger_enabled) == 0x2D4);
static_assert(offsetof(SharedUserData, performance_frequency) == 0x300);
static_assert(offsetof(SharedUserData, tick_count) == 0x320);

constexpr std::uint64_t units_per_interrupt = 10'000;  // of 100 ns: one millisecond

// 2024-01-01 00:00 UTC as Windows counts: a fixed start makes every run the same.
constexpr std::uint64_t start_of_time = 133'485'408'000'000'000;

constinit std::uint64_t interrupts{};
constinit std::uint64_t last_tick{};

// Enters the emulator's debugger, from which the tool reads the processors' registers: some
// processor hangs, and with several processors there is no other way to stop all at a known tick.
void stop_when_overdue() {
    const std::uint64_t now = time_stamp();
    if (last_tick != 0 && now > last_tick) {
        arch::magic_break();
    }
}

volatile SharedUserData& shared() {
    return *std::bit_cast<volatile SharedUserData*>(mm::shared_user_data.raw());
}

void set(volatile SystemTime& time, std::uint64_t value) {
    time.high_2 = static_cast<std::uint32_t>(value >> 32);
    time.low = static_cast<std::uint32_t>(value);
    time.high_1 = static_cast<std::uint32_t>(value >> 32);
}

void update() {
    set(shared().interrupt_time, interrupts * units_per_interrupt);
    set(shared().system_time, start_of_time + interrupts * units_per_interrupt);
    set(shared().tick_count, interrupts);
}

/// What Windows' interrupt handlers execute now and then, each at every tick: a TLB shootdown
/// arrives as an interrupt, and a handler that uses AVX saves the extended state around it. So a
/// guest in which INVPCID or XSAVES raises #UD does not survive its first tick.
void do_what_other_handlers_do() {
    mm::invalidate(mm::shared_user_data, 1);
    auto& extended = current_processor().clock_extended;
    extended.save_even_if_unused();
    extended.load();
}

}  // namespace

void start_time(std::uint64_t timeout_ticks) {
    last_tick = timeout_ticks;
    (void)mm::map_fresh(mm::shared_user_data, 1, mm::read_write);
    __builtin_memset(std::bit_cast<void*>(mm::shared_user_data.raw()), 0, mm::page_bytes);
    auto& page = shared();
    constexpr std::uint32_t milliseconds_per_tick = 1;
    page.tick_count_multiplier = milliseconds_per_tick << 24;
    constexpr std::u16string_view root = u"C:\\Windows";
    for (std::size_t i = 0; i < root.size(); ++i) {
        page.nt_system_root[i] = root[i];
    }
    page.nt_build_number = 19044;
    page.nt_major_version = 10;
    page.performance_frequency = performance_frequency;
    update();
}

std::uint64_t time_stamp() {
    return features().rdtscp ? arch::rdtscp() : arch::rdtsc();
}

std::uint64_t interrupt_time() {
    return __atomic_load_n(&interrupts, __ATOMIC_RELAXED) * units_per_interrupt;
}

std::uint64_t start_of_system_time() {
    return start_of_time;
}

void start_clock_interrupt() {
    hal::start_clock(clock_vector, clock_ticks);
}

void on_clock_interrupt() {
    stop_when_overdue();
    const Irql interrupted = current_irql();
    set_irql(Irql::clock);
    if (current_processor_number() == 0) {
        __atomic_store_n(&interrupts, interrupts + 1, __ATOMIC_RELAXED);
        update();
    }
    count_tick();
    do_what_other_handlers_do();
    hal::end_of_interrupt();
    set_irql(interrupted);
}

}  // namespace hvp::lab::ke
