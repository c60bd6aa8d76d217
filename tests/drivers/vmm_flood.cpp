// A million exits in a row with the trace on. The service name chooses who reads the ring:
//   vmm-flood-read    another processor meanwhile: what it reads is whole, and nothing is missing
//                     that was not counted (vmm-flood-quarter: of a quarter as many)
//   vmm-flood-logged  nobody, until the guest has ended: what found no place is counted, all of it.
//                     This one is smaller, as the processor's log tells of each exit.
//
// Every event of this flood can be known beforehand. The guest asks for CPUID leaf 0, 1, 2, …; so
// the detail of an event is its sequence number, and the sum of the registers follows from it.
#include <bit>
#include <cstdint>
#include <expected>
#include <string_view>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/exits/hypercall.hpp"
#include "hypervisor/trace/ring.hpp"
#include "hypervisor/vcpu/guest_registers.hpp"
#include "platform/exit_events.hpp"
#include "platform/host.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "tests/drivers/other_processor.hpp"
#include "tests/drivers/service_name.hpp"
#include "tests/drivers/test_session.hpp"

namespace {

using namespace hvp;
using namespace std::string_view_literals;
using vmx::Register;

// How many exits, before the one by which the guest ends itself.
constexpr std::uint64_t flood_with_reader = 1'000'000;
constexpr std::uint64_t flood_with_log = 20'000;
constexpr std::uint32_t cpuid_reason = 10;

/// A little work between the exits lets the reader be faster than the VMM, so that it catches up
/// and sees events as early as they can be seen. At each CPUID RAX, RBX, RCX, RDX and R15 hold its
/// number, R14 how many there are, the others 0.
[[noreturn]] void guest_main(void* argument) {
    asm volatile(
        "push %%rbp\n mov %%rax, %%r14\n"
        "xor %%ebp, %%ebp\n xor %%esi, %%esi\n xor %%edi, %%edi\n xor %%r8d, %%r8d\n"
        "xor %%r9d, %%r9d\n xor %%r10d, %%r10d\n xor %%r11d, %%r11d\n xor %%r12d, %%r12d\n"
        "xor %%r13d, %%r13d\n xor %%r15d, %%r15d\n"
        "1: mov $40, %%ebx\n 2: dec %%ebx\n jnz 2b\n"
        "mov %%r15d, %%eax\n mov %%r15d, %%ebx\n mov %%r15d, %%ecx\n mov %%r15d, %%edx\n"
        "cpuid\n"
        "inc %%r15d\n cmp %%r14d, %%r15d\n jb 1b\n"
        "pop %%rbp"
        : "+a"(argument)
        :
        : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
          "cc");
    (void)vmx::hypercall(vmx::Hypercall::stop, 0);
    for (;;) {
        arch::hlt();
    }
}

std::uint64_t registers_of(std::uint64_t number, std::uint64_t flood) {
    vmx::GuestRegisters registers;
    for (const Register which :
         {Register::rax, Register::rbx, Register::rcx, Register::rdx, Register::r15}) {
        registers[which] = number;
    }
    registers[Register::r14] = flood;
    return registers.sum();
}

/// Looks at each event that is read.
struct Audit {
    std::uint64_t flood{};  ///< how many CPUIDs there will be
    std::uint64_t read{};
    std::uint64_t torn{};     ///< parts that do not belong together
    std::uint64_t missing{};  ///< by the gaps between the sequence numbers
    std::uint64_t guest_rip{};
    std::uint64_t last_entry_at{};

    void look_at(const trace::ExitEvent& event) {
        const std::uint64_t expected = read + missing;
        missing += event.sequence - expected;
        torn += is_whole(event) ? 0 : 1;
        guest_rip = event.guest_rip;
        last_entry_at = event.entry_at;
        ++read;
    }

private:
    /// The sum takes longest: it is looked at for each eighth event.
    [[nodiscard]] bool is_whole(const trace::ExitEvent& event) const {
        if (event.sequence == flood) {
            return event.reason != cpuid_reason && event.entry_at == 0;  // the call that ends it
        }
        return event.reason == cpuid_reason && event.detail == event.sequence &&
               (event.sequence % 8 != 0 ||
                event.registers == registers_of(event.sequence, flood)) &&
               event.qualification == 0 && event.instruction_length == 2 && event.injected == 0 &&
               event.exit_at > last_entry_at && event.entry_at > event.exit_at &&
               (read == 0 || event.guest_rip == guest_rip);
    }
};

struct Flood {
    tests::TestSession& session;
    Audit audit;
    bool ended{};  ///< the guest

    [[nodiscard]] std::expected<vmx::GuestStop, vmx::Failure> run_guest() const {
        // The argument is a number: no pointer would be of use to this guest.
        return session.run(guest_main, std::bit_cast<void*>(audit.flood));
    }

    [[nodiscard]] bool guest_has_ended() const { return __atomic_load_n(&ended, __ATOMIC_ACQUIRE); }
};

void read_meanwhile(void* context) {
    Flood& flood_run = *static_cast<Flood*>(context);
    // Sleeping takes less of the emulator's time than looking. Of 16 naps one is so long that the
    // ring cannot hold what happens meanwhile.  [Windows: KeDelayExecutionThread]: units of 100 ns
    constexpr LONGLONG short_nap = -20'000;
    constexpr LONGLONG long_nap = -100'000;
    trace::ExitEvent event;
    for (unsigned naps = 0;; ++naps) {
        const bool last_look = flood_run.guest_has_ended();
        // Having caught up, it waits for some more: an event that could be seen too early would be.
        constexpr unsigned patience = 2'000;
        for (unsigned looks = 0; looks < patience;) {
            if (flood_run.session.vmm().ring.read(event)) {
                flood_run.audit.look_at(event);
            } else {
                ++looks;
            }
        }
        if (last_look) {
            return;
        }
        LARGE_INTEGER nap{.QuadPart = naps % 16 == 0 ? long_nap : short_nap};
        KeDelayExecutionThread(KernelMode, FALSE, &nap);
    }
}

std::uint64_t exits_of(const vmx::VirtualProcessor& processor) {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : processor.exits.values) {
        sum += count;
    }
    return sum;
}

/// Returns  whether every exit was either read, whole, or counted as dropped
bool judge(const Flood& run) {
    const Audit& audit = run.audit;
    const vmx::VirtualProcessor& processor = run.session.vmm().processor;
    const std::uint64_t dropped = run.session.vmm().ring.dropped();
    const std::uint64_t exits = exits_of(processor);
    tests::print_event("Flood exits=%llu read=%llu dropped=%llu missing=%llu torn=%llu\n", exits,
                       audit.read, dropped, audit.missing, audit.torn);
    return processor.guest_stop.why == vmx::StopReason::stopped_by_guest &&
           exits == audit.flood + 1 && audit.read + dropped == exits && audit.missing <= dropped &&
           audit.torn == 0;
}

std::expected<vmx::GuestStop, vmx::Failure> flood_with_a_reader(Flood& run, unsigned long here) {
    const tests::OnOtherProcessor reader{here == 0 ? 1UL : 0UL, read_meanwhile, &run};
    const auto guest_stop = run.run_guest();
    __atomic_store_n(&run.ended, true, __ATOMIC_RELEASE);
    return guest_stop;
}

/// What lies in the ring at the end goes the whole way: to event tracing, and into the lab.
std::expected<vmx::GuestStop, vmx::Failure> flood_without_a_reader(Flood& run) {
    const auto passive = platform::AtPassiveLevel::in_driver_entry();
    const platform::TraceProvider provider{passive};
    const std::uint64_t entered = arch::rdtsc();
    const auto guest_stop = run.run_guest();
    platform::trace_entry(provider, entered);
    trace::ExitEvent event;
    while (run.session.vmm().ring.read(event)) {
        run.audit.look_at(event);
        platform::trace_exit(provider, event);
    }
    platform::trace_dropped(provider, run.session.vmm().ring);
    return guest_stop;
}

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    driver->DriverUnload = on_unload;
    const bool is_quarter = tests::is_service(*path, "vmm-flood-"sv, "quarter"sv);
    const bool read_by_other = is_quarter || tests::is_service(*path, "vmm-flood-"sv, "read"sv);
    if (read_by_other && KeQueryActiveProcessorCount(nullptr) < 2) {
        return STATUS_NOT_SUPPORTED;
    }
    const platform::PinnedToProcessor pinned;
    auto session = tests::TestSession::prepare(*driver);
    if (!session) {
        return windows::status_of(session.error().kind);
    }
    session->use_exit_path(vmx::traced_exits_with_registers());
    Flood run{.session = *session,
              .audit = {.flood = is_quarter      ? flood_with_reader / 4
                                 : read_by_other ? flood_with_reader
                                                 : flood_with_log}};
    const auto guest_stop =
        read_by_other ? flood_with_a_reader(run, pinned.index()) : flood_without_a_reader(run);
    if (!guest_stop) {
        tests::print_failure(guest_stop.error());
        return windows::status_of(guest_stop.error().kind);
    }
    return judge(run) ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}
