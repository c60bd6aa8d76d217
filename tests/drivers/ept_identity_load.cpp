// The stage ept-identity under load: before its guest explores, it executes ten million
// instructions, and more in the handlers of interrupts meanwhile. The clock's ask for RDTSCP,
// INVPCID and XSAVES, as Windows' would; another processor sends an interrupt after the other, and
// frees memory, so that translations must be invalidated on all processors.
//
// stages/ept-identity/driver.cpp is compiled once more, with `explore`, `exit_path` and
// `report_run` replaced by what is here.
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

#include "hypervisor/arch/instructions.hpp"
#include "stages/ept-identity/guest.hpp"
#include "stages/ept-identity/journal.hpp"
#include "stages/ept-identity/machine.hpp"
#include "tests/drivers/other_processor.hpp"
#include "tests/drivers/random.hpp"
#include "tests/drivers/shared_values.hpp"
#include "tests/drivers/test_session.hpp"

namespace hvp::identity_stage {
namespace {

using tests::read;
using tests::set;

constinit std::uint64_t interrupts_sent = 0;
constinit std::uint64_t interrupts_in_guest = 0;
constinit std::uint32_t ticks_in_guest = 0;
constinit std::uint64_t wrong_sums = 0;
constinit bool is_in_guest = false;
constinit bool is_over = false;
/// A driver has no destructors at its end, so an object without one holds it.
alignas(tests::OnOtherProcessor) constinit std::array<std::byte,
                                                      sizeof(tests::OnOtherProcessor)> other{};

ULONG_PTR NTAPI count_in_guest(ULONG_PTR receiver) {
    if (KeGetCurrentProcessorNumberEx(nullptr) == receiver && read(is_in_guest)) {
        set(interrupts_in_guest, read(interrupts_in_guest) + 1);
    }
    return 0;
}

/// One page, used and freed.
void use_memory() {
    constexpr PHYSICAL_ADDRESS anywhere{.QuadPart = -1};
    if (void* const page = MmAllocateContiguousMemory(PAGE_SIZE, anywhere)) {
        *static_cast<volatile std::uint64_t*>(page) = 1;
        MmFreeContiguousMemory(page);
    }
}

void disturb(void* receiver) {
    tests::Random random{1};
    while (!read(is_over)) {
        use_memory();
        KeIpiGenericCall(count_in_guest, reinterpret_cast<ULONG_PTR>(receiver));
        interrupts_sent += read(is_in_guest) ? 1 : 0;
        const std::uint64_t pauses = random.below(300);
        for (std::uint64_t i = 0; i < pauses; ++i) {
            arch::pause();
        }
    }
}

/// Three instructions a turn, on registers that a handler of an interrupt must restore.
///
/// Returns  the sum of 1 to `turns`
std::uint64_t add_up(std::uint64_t turns) {
    std::uint64_t sum = 0;
    asm volatile(
        "1: add %[turns], %[sum]\n"
        "dec %[turns]\n"
        "jnz 1b"
        : [sum] "+r"(sum), [turns] "+r"(turns)
        :
        : "cc");
    return sum;
}

}  // namespace

void explore_under_load(void* guest_data) {
    constexpr unsigned rounds = 1'000;
    constexpr std::uint64_t turns = 3'400;
    const GuestData& data = *static_cast<GuestData*>(guest_data);
    const std::uint32_t before = *data.clock;
    set(is_in_guest, true);
    arch::sti();
    for (unsigned i = 0; i < rounds; ++i) {
        wrong_sums += add_up(turns) != turns * (turns + 1) / 2 ? 1 : 0;
    }
    arch::cli();
    set(is_in_guest, false);
    ticks_in_guest = *data.clock - before;
    explore(guest_data);
}

vmx::ExitPath exit_path_under_load(Machine& machine, const vmx::VirtualProcessor& processor) {
    const ULONG here = KeGetCurrentProcessorNumberEx(nullptr);
    new (&other) tests::OnOtherProcessor{here == 0 ? 1UL : 0UL, disturb,
                                         reinterpret_cast<void*>(std::uintptr_t{here})};
    return exit_path(machine, processor);
}

void report_load(const platform::TraceProvider& provider, const vmx::Session& session,
                 const StageMemory& memory) {
    set(is_over, true);
    reinterpret_cast<tests::OnOtherProcessor*>(&other)->~OnOtherProcessor();
    tests::print_event("LoadProof ticks=%u interrupts=%llu sent=%llu wrong_sums=%llu\n",
                       ticks_in_guest, interrupts_in_guest, interrupts_sent, wrong_sums);
    report_run(provider, session, memory);
}

}  // namespace hvp::identity_stage
