// A guest in the storm: it sends, receives, and leaves all the time, in every state that holds
// events back.
#include <bit>
#include <utility>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/exits/hypercall.hpp"
#include "tests/drivers/event_storm.hpp"
#include "tests/drivers/random.hpp"

extern "C" {
constinit std::uint64_t windows_clock_handler = 0;

/// Counts for the processor that SIDT finds, and goes on to Windows.
[[gnu::naked]] void on_storm_clock() {
    asm volatile(
        "push %%rax\n sub $16, %%rsp\n sidt 6(%%rsp)\n mov 8(%%rsp), %%rax\n"
        "incq %c0(%%rax)\n"
        "add $16, %%rsp\n pop %%rax\n jmp *windows_clock_handler(%%rip)"
        :
        : "i"(hvp::event_storm::offset_of_clocks));
}
}

namespace hvp::event_storm {
namespace {

/// What the processor pushes.
struct PushedFrame {
    std::uint64_t rip;
    std::uint64_t cs;
    std::uint64_t rflags;
    std::uint64_t rsp;
    std::uint64_t ss;
};

[[gnu::always_inline]] inline Processor& here() {
    return *reinterpret_cast<Processor*>(arch::sidt().base);
}

// ---- What the guest does beside

[[gnu::always_inline]] inline void leave_by_cpuid() {
    (void)arch::cpuid(0);
}
/// The VMM injects #UD.
[[gnu::always_inline]] inline void leave_by_vmlaunch() {
    asm volatile("vmlaunch" : : : "memory");
}
constexpr std::uint64_t vmlaunch_bytes = 3;

[[gnu::interrupt]] void on_invalid_opcode(PushedFrame* frame) {
    const_cast<volatile std::uint64_t&>(frame->rip) = frame->rip + vmlaunch_bytes;
}

void dawdle(std::uint64_t turns) {
    for (std::uint64_t i = 0; i < turns; ++i) {
        arch::pause();
    }
}

/// An exit while STI still holds interrupts back, that the VMM answers by an exception or not.
void leave_behind_sti(bool by_exception) {
    if (by_exception) {
        asm volatile("sti\n vmlaunch" : : : "memory");
    } else {
        asm volatile("sti\n cpuid" : : "a"(0), "c"(0) : "rbx", "rdx", "memory");
    }
}

/// The same behind MOV SS.
void leave_behind_mov_ss(bool by_exception) {
    if (by_exception) {
        asm volatile("mov %%ss, %%edx\n mov %%edx, %%ss\n vmlaunch" : : : "rdx", "memory");
    } else {
        asm volatile("mov %%ss, %%edx\n mov %%edx, %%ss\n cpuid"
                     :
                     : "a"(0), "c"(0)
                     : "rbx", "rdx", "memory");
    }
}

/// Some interrupts come before HLT, and wake it nevertheless.
void sleep(Processor& me, std::uint64_t before) {
    arch::cli();
    dawdle(before);
    set(me.sleeping, true);
    arch::sti_and_hlt();
    set(me.sleeping, false);
}

void pass_time(Processor& me, tests::Random& random) {
    const std::uint64_t some = random.below(48);
    const bool by_exception = random.below(2) != 0;
    switch (random.below(8)) {
        case 0:
            return leave_by_cpuid();
        case 1:
            (void)vmx::hypercall(vmx::Hypercall::ping, some);
            return;
        case 2:
            return leave_by_vmlaunch();
        case 3:
            arch::cli();
            dawdle(some);
            leave_by_cpuid();
            dawdle(some);
            arch::sti();
            return;
        case 4:
            arch::cli();
            dawdle(some);
            return leave_behind_sti(by_exception);
        case 5:
            return leave_behind_mov_ss(by_exception);
        case 6:
            return sleep(me, some);
        default:
            return dawdle(some);
    }
}

// ---- Receiving

[[gnu::always_inline]] inline void note_waking(Processor& me) {
    if (me.sleeping) {
        me.sleeping = false;
        ++me.woken;
    }
}

/// From here on the sender may send the next one.
[[gnu::always_inline]] inline void acknowledge(Line& line) {
    if (line.received == read(line.sent)) {
        ++line.doubled;
    } else {
        set(line.received, line.received + 1);
    }
}

/// Handlers leave, too, before and after the end of the interrupt, and let more urgent ones in.
[[gnu::no_caller_saved_registers]] void on_interrupt(Kind kind, std::size_t sender) {
    Processor& me = here();
    note_waking(me);
    Line& line = shared.line(sender, me.number, kind);
    acknowledge(line);
    switch (line.received % 4) {
        case 0:
            shared.apic.registers().end_of_interrupt();
            return leave_by_cpuid();
        case 1:
            leave_by_vmlaunch();
            return shared.apic.registers().end_of_interrupt();
        case 2:
            arch::sti();
            leave_by_cpuid();
            arch::cli();
            return shared.apic.registers().end_of_interrupt();
        default:
            return shared.apic.registers().end_of_interrupt();
    }
}

template <Kind kind, std::size_t sender>
[[gnu::interrupt]] void on_vector(PushedFrame*) {
    on_interrupt(kind, sender);
}

[[gnu::interrupt]] void on_nmi(PushedFrame*) {
    Processor& me = here();
    note_waking(me);
    me.nmis_nested += me.nmi_handlers++;
    const std::uint32_t sender = read(shared.nmi_senders[me.number]);
    if (sender == 0) {
        ++me.strays;
    } else {
        acknowledge(shared.line(sender - 1, me.number, Kind::nmi));
        set(shared.nmi_senders[me.number], 0);
    }
    leave_by_cpuid();
    --me.nmi_handlers;
}

// ---- Sending

/// What has not come after so many of the sender's turns will not come.
constexpr std::uint64_t patience = 20'000;

/// Returns  whether everything that was sent has been received
bool is_all_received(const Processor& me, std::uint64_t turn) {
    bool all = true;
    for (std::size_t receiver = 0; receiver < shared.count; ++receiver) {
        for (const Line& line : shared.lines[me.number][receiver]) {
            if (line.sent != read(line.received)) {
                all = false;
                if (turn - line.sent_at > patience) {
                    set(shared.failed, true);
                }
            }
        }
    }
    return all;
}

/// Alone in the machine it sends to itself.
std::size_t other_than(const Processor& me, tests::Random& random) {
    if (shared.count == 1) {
        return me.number;
    }
    return (me.number + 1 + random.below(shared.count - 1)) % shared.count;
}

/// Returns  whether it did: where the one before is still on its way, it does not
bool send(const Processor& me, tests::Random& random, std::uint64_t turn) {
    const std::size_t receiver = other_than(me, random);
    const auto kind = static_cast<Kind>(random.below(kinds));
    Line& line = shared.line(me.number, receiver, kind);
    if (line.sent != read(line.received)) {
        return false;
    }
    const std::uint32_t apic_id = shared.processors[receiver].apic_id;
    if (kind == Kind::nmi) {
        std::uint32_t nobody = 0;
        if (!__atomic_compare_exchange_n(&shared.nmi_senders[receiver], &nobody, me.number + 1,
                                         false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            return false;
        }
    }
    line.sent_at = turn;
    set(line.sent, line.sent + 1);
    if (kind == Kind::nmi) {
        shared.apic.send_nmi(apic_id);
    } else {
        shared.apic.send_interrupt(apic_id, vector_of(kind, me.number));
    }
    return true;
}

void send_and_receive(Processor& me, tests::Random& random) {
    std::uint64_t left = me.quota;
    bool done = false;
    for (std::uint64_t turn = 0; read(shared.done) != shared.count && !read(shared.failed);
         ++turn) {
        pass_time(me, random);
        if (left != 0) {
            left -= send(me, random, turn) ? 1 : 0;
        }
        if ((left == 0 || turn % 1024 == 0) && !done) {
            done = is_all_received(me, turn) && left == 0;
            if (done) {
                add(shared.done);
            }
        }
    }
    // One too many would come now.
    for (unsigned i = 0; i < 500; ++i) {
        pass_time(me, random);
    }
}

template <std::size_t... sender>
void set_gates(Processor& me, std::index_sequence<sender...>) {
    const auto set_gate = [&me](std::size_t vector, void (*handler)(PushedFrame*)) {
        me.idt[vector] =
            arch::interrupt_gate(std::bit_cast<std::uint64_t>(handler), arch::read_cs(), 0);
    };
    (set_gate(vector_of(Kind::low, sender), on_vector<Kind::low, sender>), ...);
    (set_gate(vector_of(Kind::middle, sender), on_vector<Kind::middle, sender>), ...);
    (set_gate(vector_of(Kind::high, sender), on_vector<Kind::high, sender>), ...);
    constexpr std::size_t nmi = 2;
    constexpr std::size_t invalid_opcode = 6;
    set_gate(nmi, on_nmi);
    set_gate(invalid_opcode, on_invalid_opcode);
}

/// Windows' IDT with gates for the storm in it: what else comes is Windows'.
void load_own_idt(Processor& me) {
    const arch::TableRegister windows = arch::sidt();
    const auto* const gates = reinterpret_cast<const arch::InterruptGate*>(windows.base);
    for (std::size_t i = 0; i < me.idt.size(); ++i) {
        me.idt[i] = gates[i];
    }
    const arch::InterruptGate clock = gates[clock_vector];
    windows_clock_handler = clock.offset_15_0 | std::uint64_t{clock.offset_31_16} << 16 |
                            std::uint64_t{clock.offset_63_32} << 32;
    me.idt[clock_vector] =
        arch::interrupt_gate(reinterpret_cast<std::uint64_t>(&on_storm_clock), arch::read_cs(), 0);
    set_gates(me, std::make_index_sequence<most_processors>{});
    arch::lidt(
        {.limit_bytes = sizeof me.idt - 1, .base = reinterpret_cast<std::uint64_t>(me.idt.data())});
}

}  // namespace

void guest_main(void* processor) {
    Processor& me = *static_cast<Processor*>(processor);
    load_own_idt(me);
    me.apic_id = tests::LocalApic::id();
    add(shared.ready);
    arch::sti();
    while (read(shared.ready) != shared.count && !read(shared.failed)) {
        leave_by_cpuid();
    }
    tests::Random random{me.seed};
    send_and_receive(me, random);
    arch::cli();
    (void)vmx::hypercall(vmx::Hypercall::stop, 0);
    for (;;) {
        arch::hlt();
    }
}

}  // namespace hvp::event_storm
