// Guests that are left at 200 moments, wherever they are: in their own code, in the handler of the
// clock, in the handler of an interrupt between processors, with an NMI or an interrupt pending.
// Nobody handles the exit, and all goes on as if there had been no guest.
//
// The moment is chosen by the VMX-preemption timer. Another processor sends NMIs and interrupts
// meanwhile, one by one. In every second guest interrupts exit.
#include <cstdint>

#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/vcpu/departure.hpp"
#include "platform/host.hpp"
#include "platform/windows/nt.hpp"
#include "tests/drivers/local_apic.hpp"
#include "tests/drivers/nmi_callbacks.hpp"
#include "tests/drivers/other_processor.hpp"
#include "tests/drivers/preemption_timer.hpp"
#include "tests/drivers/random.hpp"
#include "tests/drivers/shared_values.hpp"
#include "tests/drivers/test_session.hpp"

namespace {

using namespace hvp;
using tests::read;
using tests::set;

constexpr unsigned rounds = 200;

/// Where the guests were when they were left.
struct Moments {
    std::uint32_t in_own_code{};
    std::uint32_t in_clock{};
    std::uint32_t in_ipi{};
    std::uint32_t in_other{};
    std::uint32_t with_nmi{};
    std::uint32_t with_interrupt{};
};

constinit Moments moments{};
constinit tests::LocalApic local_apic{};
constinit std::uint32_t receiver_apic_id = 0;
constinit std::uint64_t nmis_sent = 0;
constinit std::uint64_t nmis_received = 0;
constinit std::uint64_t ipis_sent = 0;
constinit std::uint64_t ipis_received = 0;
constinit bool is_over = false;
constinit bool is_quiet = false;
constinit bool waits_for_nmi = false;
constinit bool waits_for_clock = false;

// ---- The VMM

/// [Windows: Managing Hardware Priorities] and, for their numbers, wdm.h.
constexpr std::uint64_t clock_level = 13;
constexpr std::uint64_t ipi_level = 14;

vmx::AfterEvent on_preemption_timer(vmx::Exit exit) {
    if (read(waits_for_clock) && arch::read_cr8() != clock_level) {
        // Not yet: once more in a moment that is shorter than the clock's handler.
        constexpr std::uint32_t a_moment = 60;
        exit.vmcs.write(vmx::guest_preemption_timer_value, a_moment);
        return vmx::AfterEvent::resume;
    }
    switch (arch::read_cr8()) {
        case DISPATCH_LEVEL:
            ++moments.in_own_code;
            break;
        case clock_level:
            ++moments.in_clock;
            break;
        case ipi_level:
            ++moments.in_ipi;
            break;
        default:
            ++moments.in_other;
    }
    // In some rounds the guest is left with an NMI that has come to the VMM.
    constexpr unsigned patience = 20'000;
    for (unsigned i = 0;
         i < patience && read(waits_for_nmi) && read(exit.processor().pending_nmis) == 0; ++i) {
        arch::pause();
    }
    moments.with_nmi += read(exit.processor().pending_nmis) != 0 ? 1 : 0;
    moments.with_interrupt += exit.processor().interrupt ? 1 : 0;
    return exit.stop_after_event(vmx::StopReason::unhandled_exit);
}
constexpr auto handlers =
    vmx::default_handlers.with<vmx::ExitReason::preemption_timer, on_preemption_timer>();

/// An exit at a time of the TSC, as far as the guest runs until then.
/// [SDM 3D A.6 "Miscellaneous Data"]
vmx::Feature exit_at(std::uint64_t tsc) {
    return {.add = [](vmx::Session&, std::uint64_t parameter) -> std::expected<void, vmx::Failure> {
                constexpr std::uint64_t rate_bits = 0x1F;
                const std::uint64_t rate = arch::rdmsr(arch::Msr::vmx_misc) & rate_bits;
                const std::uint64_t now = arch::rdtsc();
                return tests::add_preemption_timer(
                    static_cast<std::uint32_t>(parameter > now ? (parameter - now) >> rate : 1));
            },
            .parameter = tsc};
}

// ---- The guest

struct Work {
    const vmx::VirtualProcessor* processor;
    vmx::VmmFrame* frame;
    bool exits;
    bool blocks;  ///< interrupts, most of the time
    std::uint64_t sum;
    std::uint64_t expected;
};

/// Interrupts are on, and their handlers run in the guest; and at some moment there is no VMM.
void work(void* parameter) {
    Work& mine = *static_cast<Work*>(parameter);
    arch::sti();
    while (!read(mine.processor->departed)) {
        mine.sum += 7;
        mine.expected += 3;
        mine.expected += 4;
        if (mine.exits && mine.sum % 5 == 0) {
            (void)arch::cpuid(0);
        }
        if (mine.blocks || mine.sum % 3 == 0) {
            arch::cli();
            for (unsigned i = 0; i < (mine.blocks ? 2'000U : 50U); ++i) {
                arch::pause();
            }
            arch::sti();
        }
    }
    arch::cli();
    vmx::hvp_end_departed_guest(mine.frame);
}

// ---- The other processor

BOOLEAN NTAPI count_nmi(PVOID, BOOLEAN) {
    set(nmis_received, read(nmis_received) + 1);
    return TRUE;
}

ULONG_PTR NTAPI count_ipi(ULONG_PTR receiver) {
    if (KeGetCurrentProcessorNumberEx(nullptr) == receiver) {
        set(ipis_received, read(ipis_received) + 1);
    }
    return 0;
}

void disturb(void* receiver) {
    tests::Random random{2};
    while (!read(is_over)) {
        if (read(is_quiet)) {
            arch::pause();
            continue;
        }
        if (!read(waits_for_nmi)) {
            ++ipis_sent;
            KeIpiGenericCall(count_ipi, reinterpret_cast<ULONG_PTR>(receiver));
        }
        set(nmis_sent, nmis_sent + 1);
        local_apic.send_nmi(receiver_apic_id);
        while (read(nmis_received) != nmis_sent && !read(is_over)) {
            arch::pause();
        }
        const std::uint64_t pauses = random.below(300);
        for (std::uint64_t i = 0; i < pauses; ++i) {
            arch::pause();
        }
    }
}

// ---- Both

/// Whether the local APIC of this processor waits for an EOI.
bool is_in_service() {
    std::uint32_t all = 0;
    for (std::uint32_t i = 0; i < 8; ++i) {
        all |= local_apic.registers().in_service(i);
    }
    return all != 0;
}

/// Returns  when it ticked, as time of the TSC; 0: it does not
std::uint64_t wait_for_the_clock() {
    const volatile std::uint32_t* const clock = platform::clock_ticks();
    const std::uint32_t before = *clock;
    constexpr unsigned patience = 10'000'000;
    for (unsigned i = 0; i < patience && *clock == before; ++i) {
        arch::pause();
    }
    return *clock != before ? arch::rdtsc() : 0;
}

/// Returns  whether the guest was left, and all went on
bool leave_one(tests::TestSession& session, std::uint64_t at, bool exits, bool interrupts_exit,
               bool blocks = false) {
    session.options.features = {exit_at(at)};
    if (interrupts_exit) {
        session.options.features[1] = vmx::interrupt_exiting();
    }
    Work mine{.processor = &session.processor(),
              .frame = session.vmm().frame(),
              .exits = exits,
              .blocks = blocks,
              .sum = 0,
              .expected = 0};
    const auto stop = session.run(work, &mine);
    if (!stop) {
        tests::print_failure(stop.error());
        return false;
    }
    return session.processor().departed && mine.sum == mine.expected &&
           stop->reason.basic() == vmx::ExitReason::preemption_timer && !is_in_service() &&
           wait_for_the_clock() != 0;
}

unsigned leave_all(tests::TestSession& session) {
    session.use_exit_path(vmx::exit_path<handlers>());
    session.options.departs = true;
    tests::Random random{1};
    unsigned good = 0;
    const platform::PreemptionOff dispatch;
    for (unsigned i = 0; i < rounds; ++i) {
        // Somewhere before the next tick, or while its handler runs.
        constexpr std::uint64_t soon = 100'000;
        const std::uint64_t tick = wait_for_the_clock();
        const bool in_clock = i % 4 >= 2;
        set(is_quiet, in_clock);
        set(waits_for_clock, in_clock);
        set(waits_for_nmi, i % 8 == 0);
        good += leave_one(session, tick + random.below(soon), !in_clock, i % 2 != 0, i % 8 == 1)
                    ? 1
                    : 0;
    }
    return good;
}

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    if (KeQueryActiveProcessorCount(nullptr) < 2 || !local_apic.map()) {
        return STATUS_NOT_SUPPORTED;
    }
    unsigned good = 0;
    {
        const platform::PinnedToProcessor pinned;
        auto session = tests::TestSession::prepare(*driver);
        void* const callback = KeRegisterNmiCallback(count_nmi, nullptr);
        if (session && callback != nullptr) {
            receiver_apic_id = tests::LocalApic::id();
            const tests::OnOtherProcessor other{
                pinned.index() == 0 ? 1UL : 0UL, disturb,
                reinterpret_cast<void*>(std::uintptr_t{pinned.index()})};
            good = leave_all(*session);
            set(is_over, true);
        }
        if (callback != nullptr) {
            KeDeregisterNmiCallback(callback);
        }
    }
    local_apic.unmap();
    tests::print_event(
        "DepartureProof good=%u own_code=%u clock=%u ipi=%u other=%u with_nmi=%u "
        "with_interrupt=%u nmis_sent=%llu nmis_received=%llu ipis_sent=%llu ipis_received=%llu\n",
        good, moments.in_own_code, moments.in_clock, moments.in_ipi, moments.in_other,
        moments.with_nmi, moments.with_interrupt, nmis_sent, nmis_received, ipis_sent,
        ipis_received);
    return good == rounds && nmis_sent == nmis_received && ipis_sent == ipis_received
               ? STATUS_SUCCESS
               : STATUS_UNSUCCESSFUL;
}
