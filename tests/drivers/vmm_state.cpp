// Thousands of random states of a processor, an exit in each, and nothing of it changed afterwards.
//
// The guest chooses random values for RFLAGS, the general registers, x87, SSE and AVX state, MXCSR,
// DR0 to DR3, CR2 and the bases of FS, GS and KERNEL_GS; executes an instruction that exits; and
// compares all of it with before. The first difference is told with the number of its state; the
// same --seed gives the same states again.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "hypervisor/exits/hypercall.hpp"
#include "hypervisor/vcpu/guest_registers.hpp"
#include "platform/host.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "stages/shared/probes.hpp"
#include "tests/drivers/probe_operands.hpp"
#include "tests/drivers/random.hpp"
#include "tests/drivers/test_session.hpp"

namespace {

using namespace hvp;
using arch::Msr;
using stages::Probe;
using tests::Random;
using vmx::GuestRegisters;
using vmx::Register;

constexpr std::size_t states_for_each = 300;
constexpr std::array probes{Probe::hlt,    Probe::cpuid,    Probe::rdmsr,    Probe::wrmsr,
                            Probe::vmcall, Probe::read_cr3, Probe::write_cr3};
constexpr std::size_t states = states_for_each * probes.size();

/// What no exit may change, beside the registers that `execute_with` looks at.
struct Others {
    std::array<std::uint64_t, 4> breakpoints{};
    std::uint64_t cr2{};
    std::uint64_t fs_base{};
    std::uint64_t gs_base{};
    std::uint64_t kernel_gs_base{};

    friend bool operator==(const Others&, const Others&) = default;

    static Others read() {
        return {.breakpoints = {arch::read_dr<0>(), arch::read_dr<1>(), arch::read_dr<2>(),
                                arch::read_dr<3>()},
                .cr2 = arch::read_cr2(),
                .fs_base = arch::rdmsr(Msr::fs_base),
                .gs_base = arch::rdmsr(Msr::gs_base),
                .kernel_gs_base = arch::rdmsr(Msr::kernel_gs_base)};
    }
    void load() const {
        arch::write_dr<0>(breakpoints[0]);
        arch::write_dr<1>(breakpoints[1]);
        arch::write_dr<2>(breakpoints[2]);
        arch::write_dr<3>(breakpoints[3]);
        arch::write_cr2(cr2);
        arch::wrmsr(Msr::fs_base, fs_base);
        arch::wrmsr(Msr::gs_base, gs_base);
        arch::wrmsr(Msr::kernel_gs_base, kernel_gs_base);
    }
    static Others random(Random& random) {
        Others others;
        for (std::uint64_t& breakpoint : others.breakpoints) {
            breakpoint = random.address();
        }
        others.cr2 = random();
        others.fs_base = random.address();
        others.gs_base = random.address();
        others.kernel_gs_base = random.address();
        return others;
    }
};

/// x87, SSE and AVX, in the layout of XSAVE.
struct alignas(64) Extended {
    std::array<std::uint64_t, 512> words{};

    static bool has_xsave() { return arch::read_cr4().has(arch::Cr4::os_xsave); }
    void save() { has_xsave() ? arch::xsave(words.data()) : arch::fxsave(words.data()); }
    void load() const { has_xsave() ? arch::xrstor(words.data()) : arch::fxrstor(words.data()); }
    /// Random values in what the legacy area and the upper halves of YMM hold. Loading and saving
    /// it leaves only what the registers can hold.
    void randomise(Random& random) {
        constexpr std::size_t mxcsr_word = 3;
        constexpr std::size_t legacy_words = 512 / 8;
        constexpr std::size_t header_words = 64 / 8;
        constexpr std::size_t upper_halves = 256 / 8;
        words = {};
        std::generate_n(words.begin(), legacy_words - 6, [&] { return random(); });
        words[mxcsr_word] = random() & 0xFFBF;  // no reserved bit, no denormals-are-zeros
        if (has_xsave()) {
            const std::uint64_t components = arch::read_xcr0() & 7;
            words[legacy_words] = components;
            if ((components & 4) != 0) {
                std::generate_n(words.begin() + legacy_words + header_words, upper_halves,
                                [&] { return random(); });
            }
        }
    }
};

struct Experiment {
    std::uint64_t seed{};
    std::array<std::uint64_t, probes.size()> done{};
    std::uint64_t different{};
    std::uint64_t first_state{};
    const char* first_item{"none"};

    void note(std::uint64_t state, const char* item) {
        if (different++ == 0) {
            first_state = state;
            first_item = item;
        }
    }
};

// Too large for a kernel stack. What XSAVE does not write stays 0 in the two that are compared.
Extended random_extended;
Extended before_extended;
Extended after_extended;
Extended initial_extended;

GuestRegisters choose_registers(Probe probe, Random& random, std::uint64_t cr3) {
    GuestRegisters registers;
    for (std::uint8_t i = 0; i < 16; ++i) {
        registers[static_cast<Register>(i)] = random();
    }
    // CF PF AF ZF SF DF OF AC ID; not TF, IF, NT, RF, and IOPL stays 0.
    constexpr std::uint64_t free_flags = 0x24'0CD5;
    constexpr std::uint64_t always_one = 2;
    registers[Register::rsp] = (registers[Register::rsp] & free_flags) | always_one;
    const std::uint64_t leaf = probe == Probe::cpuid ? random() % 8 : 0;
    tests::put_operands(registers, probe, leaf, cr3);
    return registers;
}

bool kept(Probe probe, const GuestRegisters& before, const GuestRegisters& after) {
    GuestRegisters expected = before;
    const auto may_change = [&](Register which) { expected[which] = after[which]; };
    if (probe == Probe::cpuid) {
        may_change(Register::rbx);
        may_change(Register::rcx);
    }
    if (probe == Probe::cpuid || probe == Probe::rdmsr || probe == Probe::vmcall ||
        probe == Probe::read_cr3) {
        may_change(Register::rax);
    }
    if (probe == Probe::cpuid || probe == Probe::rdmsr || probe == Probe::vmcall) {
        may_change(Register::rdx);
    }
    return expected == after;
}

void try_state(Experiment& experiment, std::uint64_t state, Random& random, std::uint64_t cr3) {
    const std::size_t which = state % probes.size();
    const GuestRegisters before = choose_registers(probes[which], random, cr3);
    const Others others = Others::random(random);
    GuestRegisters registers = before;
    random_extended.randomise(random);
    random_extended.load();
    before_extended.save();
    others.load();

    stages::execute_with(probes[which], registers.values());

    after_extended.save();
    if (Others::read() != others) {
        experiment.note(state, "debug registers, CR2 or bases");
    }
    if (!kept(probes[which], before, registers)) {
        experiment.note(state, "general registers or RFLAGS");
    }
    if (before_extended.words != after_extended.words) {
        experiment.note(state, "x87, SSE or AVX state");
    }
    ++experiment.done[which];
}

[[noreturn]] void guest_main(void* argument) {
    Experiment& experiment = *static_cast<Experiment*>(argument);
    Random random{experiment.seed};
    const Others initial = Others::read();
    initial_extended.save();
    const std::uint64_t cr3 = arch::read_cr3();
    for (std::uint64_t state = 0; state < states; ++state) {
        try_state(experiment, state, random, cr3);
    }
    initial_extended.load();
    initial.load();
    (void)vmx::hypercall(vmx::Hypercall::stop, 0);
    for (;;) {
        arch::hlt();
    }
}

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    const platform::PinnedToProcessor pinned;
    auto session = tests::TestSession::prepare(*driver);
    if (!session) {
        return windows::status_of(session.error().kind);
    }
    Experiment experiment{.seed = arch::rdtsc()};
    const auto guest_stop = session->run(guest_main, &experiment);
    if (!guest_stop) {
        tests::print_failure(guest_stop.error());
        return windows::status_of(guest_stop.error().kind);
    }
    tests::print_event(
        "StateProof states=%llu least_for_an_instruction=%llu different=%llu first_state=%llu "
        "first_item=\"%s\" end=%u vector=%llu rip=0x%llx\n",
        states, *std::ranges::min_element(experiment.done), experiment.different,
        experiment.first_state, experiment.first_item, static_cast<unsigned>(guest_stop->why),
        guest_stop->trap.vector, guest_stop->trap.rip);
    return guest_stop->why == vmx::StopReason::stopped_by_guest && experiment.different == 0
               ? STATUS_SUCCESS
               : STATUS_UNSUCCESSFUL;
}
