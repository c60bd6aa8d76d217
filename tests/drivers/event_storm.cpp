// A storm of events: a hundred thousand, and each arrives once. (As the service
// event-storm-quarter, twenty-five thousand; as event-storm-few, ten thousand.)
//
// Every processor is a guest whose external interrupts and NMIs exit, so the VMM has each event in
// its hands and gives it back. The guests send interrupts of three priorities and NMIs to each
// other, as many at the same time as can be told apart, and Windows' clock comes in between. They
// exit all the time, with interrupts off, behind STI and MOV SS, out of handlers, and to sleep.
#include "tests/drivers/event_storm.hpp"
#include "platform/host.hpp"

#include <optional>

#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/vcpu/host_traps.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "tests/drivers/other_processor.hpp"
#include "tests/drivers/service_name.hpp"
#include "tests/drivers/test_session.hpp"

constinit hvp::event_storm::Storm hvp::event_storm::shared{};

namespace {

using namespace hvp;
using namespace std::string_view_literals;
using event_storm::Kind;
using event_storm::Line;
using event_storm::most_processors;
using event_storm::Processor;
using event_storm::shared;
using event_storm::Tally;

constexpr std::uint64_t many = 100'000;
constexpr std::uint64_t quarter = 25'000;
constexpr std::uint64_t few = 10'000;

// ---- The VMM, and what is counted around it

Processor& processor_of(const vmx::VirtualProcessor& owner) {
    return *static_cast<Processor*>(owner.frame->state);
}

/// Where the guest has executed nothing since the entry, the interrupt had come before that.
void note_interrupt(Tally& tally, const vmx::VmmFrame& frame, const vmx::UncheckedVmcs& vmcs) {
    const bool moved = vmcs.read(vmx::guest_rip).raw() != tally.entry_rip ||
                       frame.registers.sum() != tally.entry_registers;
    ++(moved ? tally.in_guest : tally.in_vmm);
    if (vmcs.read(vmx::exit_interruption_information).vector == event_storm::clock_vector) {
        ++tally.clocks;
    }
}

/// Those that the local APIC has made up are not in service: nobody counts on one, and two may
/// become one.  [SDM 3A 10.9 "Spurious Interrupt"]
bool is_spurious(vmx::InterruptionInformation event) {
    return event.is(vmx::EventType::external_interrupt) && event.vector == shared.spurious_vector;
}

/// Sees each exit before its handler and after it.
class Counted {
public:
    explicit Counted(vmx::Exit exit, std::uint32_t number)
        : reason_{static_cast<vmx::ExitReason>(number)} {
        Tally& tally = processor_of(exit.processor()).tally;
        if (exit.vmcs.read(vmx::guest_activity_state) == vmx::ActivityState::hlt) {
            ++tally.asleep;
        }
        if (is_spurious(exit.vmcs.read(vmx::exit_interruption_information))) {
            ++tally.spurious;
        } else if (reason_ == vmx::ExitReason::external_interrupt) {
            note_interrupt(tally, exit.frame, exit.vmcs);
        } else if (reason_ == vmx::ExitReason::exception_or_nmi) {
            ++tally.nmis_in_guest;  // no exception exits
        }
    }

    void finish(vmx::Exit exit, bool goes_on) const {
        Tally& tally = processor_of(exit.processor()).tally;
        const vmx::InterruptionInformation injected =
            exit.vmcs.read(vmx::entry_interruption_information);
        if (injected.is(vmx::EventType::external_interrupt) && !is_spurious(injected)) {
            ++tally.injected;
            tally.kept_awake += reason_ == vmx::ExitReason::hlt ? 1 : 0;
        } else if (reason_ == vmx::ExitReason::external_interrupt) {
            ++tally.waited;
        }
        tally.entry_rip = injected.valid != 0 ? 0 : exit.vmcs.read(vmx::guest_rip).raw();
        tally.entry_registers = exit.registers().sum();
        tally.left = !goes_on && exit.processor().interrupt ? 1 : 0;
    }

private:
    vmx::ExitReason reason_;
};

void count_and_handle_nmi(vmx::HostTrap* trap) {
    ++processor_of(vmx::owner_of_trap_stack(trap)).tally.nmis_in_vmm;
    vmx::handle_host_trap(trap);
}

/// One processor's part.
struct Part {
    tests::TestSession* session{};
    Processor* processor{};

    static void run(void* context) {
        const Part& part = *static_cast<Part*>(context);
        // At PASSIVE_LEVEL, so that a thread that has yet to move to its processor gets its turn.
        event_storm::add(shared.bound);
        while (event_storm::read(shared.bound) != shared.count &&
               !event_storm::read(shared.failed)) {
            arch::pause();
        }
        const platform::PreemptionOff dispatch;
        // On the thread's stack, as Windows' handlers run in the guest, too.
        alignas(16) std::array<std::byte, KERNEL_STACK_SIZE / 2> stack;
        part.session->options.stack_end = stack.data() + stack.size();
        const auto guest_stop = part.session->run(event_storm::guest_main, part.processor);
        if (!guest_stop || guest_stop->why != vmx::StopReason::stopped_by_guest) {
            event_storm::set(shared.failed, true);
        }
    }
};

// ---- Afterwards

bool tell_kind(Kind kind) {
    Line sum{};
    for (std::size_t sender = 0; sender < shared.count; ++sender) {
        for (std::size_t receiver = 0; receiver < shared.count; ++receiver) {
            const Line& line = shared.line(sender, receiver, kind);
            sum.sent += line.sent;
            sum.received += line.received;
            sum.doubled += line.doubled;
        }
    }
    tests::print_event("StormKind kind=\"%s\" sent=%llu received=%llu lost=%llu doubled=%llu\n",
                       event_storm::kind_names[static_cast<std::size_t>(kind)], sum.sent,
                       sum.received, sum.sent - sum.received, sum.doubled);
    return sum.sent == sum.received && sum.doubled == 0;
}

/// Returns  whether each interrupt that the VMM has acknowledged has been injected, and arrived
bool tell_processor(const Processor& processor, const vmx::VirtualProcessor& vmm) {
    const Tally& tally = processor.tally;
    const std::uint64_t interrupts = tally.in_guest + tally.in_vmm;
    const std::uint64_t left = tally.left;
    tests::print_event(
        "StormProcessor number=%u interrupts=%llu met_guest=%llu met_vmm=%llu waited=%llu "
        "windows=%llu injected=%llu left=%llu clocks=%llu clocks_received=%llu spurious=%llu\n",
        processor.number, interrupts, tally.in_guest, tally.in_vmm, tally.waited,
        vmm.exits[vmx::ExitReason::interrupt_window], tally.injected, left, tally.clocks,
        processor.clocks, tally.spurious);
    tests::print_event(
        "StormSleep number=%u halts=%llu kept_awake=%llu woken=%llu asleep_at_exit=%llu end=%u "
        "refused=%u\n",
        processor.number, vmm.exits[vmx::ExitReason::hlt], tally.kept_awake, processor.woken,
        tally.asleep, static_cast<unsigned>(vmm.guest_stop.why),
        std::bit_cast<std::uint32_t>(vmm.guest_stop.refused_event));
    tests::print_event(
        "StormNmis number=%u met_guest=%llu met_vmm=%llu windows=%llu nested=%llu strays=%llu\n",
        processor.number, tally.nmis_in_guest, tally.nmis_in_vmm,
        vmm.exits[vmx::ExitReason::nmi_window], processor.nmis_nested, processor.strays);
    return interrupts == tally.injected + left && tally.clocks - processor.clocks <= left &&
           processor.nmis_nested == 0 && processor.strays == 0;
}

bool judge(const std::array<std::optional<tests::TestSession>, most_processors>& sessions) {
    bool good = !shared.failed;
    for (const Kind kind : {Kind::low, Kind::middle, Kind::high, Kind::nmi}) {
        good = tell_kind(kind) && good;
    }
    for (std::size_t i = 0; i < shared.count; ++i) {
        good = tell_processor(shared.processors[i], sessions[i]->vmm().processor) && good;
    }
    return good;
}

// ---- Before

bool prepare(std::optional<tests::TestSession>& session, const DRIVER_OBJECT& driver,
             Processor& processor) {
    auto prepared = tests::TestSession::prepare(driver);
    if (!prepared) {
        tests::print_failure(prepared.error());
        return false;
    }
    session.emplace(std::move(*prepared));
    session->options.features = {vmx::interrupt_exiting()};
    vmx::ExitPath path = vmx::exit_path<vmx::default_handlers, Counted>();
    path.state = &processor;
    session->use_exit_path(path);
    session->vmm().stacks.nmi.on_trap = count_and_handle_nmi;
    return true;
}

void run_everywhere(std::array<std::optional<tests::TestSession>, most_processors>& sessions) {
    const platform::PinnedToProcessor pinned;
    std::array<Part, most_processors> parts{};
    std::array<std::optional<tests::OnOtherProcessor>, most_processors> others;
    for (std::uint32_t i = 0; i < shared.count; ++i) {
        parts[i] = {.session = &*sessions[i], .processor = &shared.processors[i]};
        if (i != pinned.index()) {
            others[i].emplace(i, Part::run, &parts[i]);
            if (!others[i]->started()) {
                event_storm::set(shared.failed, true);
            }
        }
    }
    Part::run(&parts[pinned.index()]);
}

void on_unload(PDRIVER_OBJECT) {
    shared.apic.unmap();
}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    const auto is_service = [&](std::string_view name) {
        return tests::is_service(*path, "event-storm-"sv, name);
    };
    shared.count = KeQueryActiveProcessorCount(nullptr);
    if (shared.count > most_processors || !shared.apic.map()) {
        return STATUS_NOT_SUPPORTED;
    }
    shared.spurious_vector = shared.apic.registers().spurious_vector();
    const std::uint64_t wanted = is_service("few"sv)       ? few
                                 : is_service("quarter"sv) ? quarter
                                                           : many;
    const std::uint64_t seed = arch::rdtsc() ^ reinterpret_cast<std::uint64_t>(driver->DriverStart);
    std::array<std::optional<tests::TestSession>, most_processors> sessions;
    bool good = true;
    for (std::uint32_t i = 0; i < shared.count; ++i) {
        Processor& processor = shared.processors[i];
        processor.number = i;
        processor.seed = seed * (2 * i + 1);
        processor.quota = wanted / shared.count + (i < wanted % shared.count ? 1 : 0);
        good = good && prepare(sessions[i], *driver, processor);
    }
    if (good) {
        run_everywhere(sessions);
        good = judge(sessions);
    }
    if (!good) {
        on_unload(driver);
        return STATUS_UNSUCCESSFUL;
    }
    driver->DriverUnload = on_unload;
    return STATUS_SUCCESS;
}
