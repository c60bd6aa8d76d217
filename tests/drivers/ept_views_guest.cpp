#include "tests/drivers/ept_views_guest.hpp"

#include <bit>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/exits/hypercall.hpp"

namespace hvp::tests {
namespace {

[[noreturn]] void stop() {
    arch::cli();
    (void)vmx::hypercall(vmx::Hypercall::stop, 0);
    for (;;) {
        arch::hlt();
    }
}

const volatile std::uint64_t* pages() {
    return std::bit_cast<const volatile std::uint64_t*>(&data_face);
}

template <typename Function>
Function at(std::size_t place) {
    return std::bit_cast<Function>(std::bit_cast<std::uint64_t>(&data_face) + place);
}

/// Each guest writes to words of its own.
std::size_t word_of(const Seat& seat) {
    return arch::page_bytes / 2 / sizeof(std::uint64_t) + seat.number;
}

/// Of the guest's, where it can be written: the pages are code, read-only at their own address.
volatile std::uint64_t& word_of_guest(const Seat& seat) {
    return seat.writable[word_of(seat)];
}

void turn(Seat& seat, std::uint64_t round, std::uint64_t first_word) {
    volatile std::uint64_t& mine = word_of_guest(seat);
    const bool read_right = pages()[0] == first_word;
    const bool call_right = at<std::uint64_t (*)()>(place::answer)() == answer_of_code;
    mine = round;
    seat.turns += read_right && call_right && mine == round ? 1 : 0;
}

void write_by_itself(Seat& seat, std::uint64_t round) {
    volatile std::uint64_t& mine = word_of_guest(seat);
    at<void (*)(std::uint64_t, volatile std::uint64_t*)>(place::write_page)(~round, &mine);
    seat.writes += mine == ~round ? 1 : 0;
}

}  // namespace

void take_turns(void* argument) {
    Seat& seat = *static_cast<Seat*>(argument);
    arch::sti();
    const std::uint64_t first_word = pages()[0];
    for (std::uint64_t i = 0; i < seat.rounds; ++i) {
        turn(seat, i, first_word);
    }
    for (std::uint64_t i = 0; i < seat.rounds; ++i) {
        seat.reads += at<std::uint64_t (*)()>(place::read_page)() == first_word ? 1 : 0;
    }
    for (std::uint64_t i = 0; i < seat.rounds; ++i) {
        write_by_itself(seat, i);
    }
    for (std::uint64_t i = 0; i < seat.rounds; ++i) {
        seat.crossings += at<std::uint64_t (*)()>(place::crossing)() == first_word ? 1 : 0;
    }
    // Half of the word is on either page, and both begin with the same pattern.
    const auto* const span = std::bit_cast<const volatile std::uint64_t*>(
        std::bit_cast<std::uint64_t>(&data_face) + arch::page_bytes - 4);
    for (std::uint64_t i = 0; i < seat.rounds; ++i) {
        (void)at<std::uint64_t (*)()>(place::answer)();
        seat.spans += *span == 0x5A5A'5A5A'5A5A'5A5A ? 1 : 0;
    }
    stop();
}

void wait_for_clock(void* argument) {
    Seat& seat = *static_cast<Seat*>(argument);
    constexpr std::uint64_t tick_count = 0xFFFF'F780'0000'0320;
    const auto* const clock = std::bit_cast<const volatile std::uint32_t*>(tick_count);
    arch::sti();
    for (; seat.ticks < clock_ticks; ++seat.ticks) {
        at<void (*)(const volatile std::uint32_t*, std::uint32_t)>(place::spin)(clock, *clock);
    }
    stop();
}

void scan(void* argument) {
    Seat& seat = *static_cast<Seat*>(argument);
    arch::write_cr3(seat.cr3);
    std::uint64_t before = 0;
    for (; seat.scanned < seat.words; ++seat.scanned) {
        const std::uint64_t complement = ~seat.memory[seat.scanned];
        for (std::size_t i = 0; i < seat.found.size(); ++i) {
            const auto& [first, second] = seat.complements[i];
            seat.found[i] += before == first && complement == second ? 1 : 0;
        }
        before = complement;
    }
    stop();
}

[[gnu::section("DATAFACE"), gnu::naked]] void data_face() {
    asm volatile(
        "0: mov $0xAA, %eax\n"
        "ret\n"
        ".org 0b + 8192, 0x5A");
}

[[gnu::section("CODEFACE"), gnu::naked]] void code_face() {
    asm volatile(
        "0: mov $0xBB, %eax\n"
        "ret\n"
        ".org 0b + 64, 0xCC\n"
        "mov 0b(%rip), %rax\n"
        "ret\n"
        ".org 0b + 128, 0xCC\n"
        "mov %rcx, (%rdx)\n"
        "ret\n"
        ".org 0b + 192, 0xCC\n"
        "1: pause\n"
        "cmp %edx, (%rcx)\n"
        "je 1b\n"
        "ret\n"
        ".org 0b + 4093, 0xCC\n"
        "mov 0b(%rip), %rax\n"
        "ret\n"
        ".org 0b + 8192, 0xCC");
}

}  // namespace hvp::tests
