// A thousand NMIs from one guest to another, one by one: each arrives once, and none inside the
// handler of the one before.
//
// Two processors, a virtual processor on each. The sender's guest writes to the local APIC and
// waits until the receiver's guest has counted the NMI; then it dawdles, each time for another
// while. So some NMIs find the receiver in its guest, some in its VMM. Those the guest has to get
// afterwards. The guest counts at the start of its handler and leaves it by way of a VM exit, so
// most NMIs come while it blocks them: the VMM has to wait for its IRET.
#include <array>
#include <cstdint>

#include "hypervisor/arch/descriptor_tables.hpp"
#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/exits/hypercall.hpp"
#include "hypervisor/vcpu/host_traps.hpp"
#include "platform/host.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "tests/drivers/local_apic.hpp"
#include "tests/drivers/other_processor.hpp"
#include "tests/drivers/shared_values.hpp"
#include "tests/drivers/test_session.hpp"

extern "C" {
// What the NMI handler of the receiver's guest counts.
constinit std::uint64_t nmis_received = 0;
constinit std::uint64_t nmis_nested = 0;  ///< inside the handler of another one
constinit std::uint64_t nmi_handlers_running = 0;

/// The gate of the receiver's guest. CPUID exits to the VMM and back while NMIs are blocked.
[[gnu::naked]] void guest_nmi_handler() {
    asm volatile(
        "push %rax\n push %rbx\n push %rcx\n push %rdx\n"
        "incq nmi_handlers_running(%rip)\n"
        "cmpq $1, nmi_handlers_running(%rip)\n"
        "je 1f\n"
        "incq nmis_nested(%rip)\n"
        "1: incq nmis_received(%rip)\n"
        "xor %eax, %eax\n cpuid\n"
        "decq nmi_handlers_running(%rip)\n"
        "pop %rdx\n pop %rcx\n pop %rbx\n pop %rax\n"
        "iretq");
}
}

namespace {

using namespace hvp;
using tests::read;
using tests::set;

constexpr std::uint64_t wanted = 1000;

// ---- Between the two

constinit tests::LocalApic local_apic{};
constinit std::uint64_t sent = 0;
constinit std::uint32_t receiver_apic_id = 0;
constinit bool receiver_is_ready = false;
constinit bool receiver_is_gone = false;
constinit bool sender_is_done = false;
constinit std::uint64_t nmis_in_vmm = 0;

[[noreturn]] void stop() {
    (void)vmx::hypercall(vmx::Hypercall::stop, 0);
    for (;;) {
        arch::hlt();
    }
}

// ---- The receiver

alignas(16) constinit std::array<arch::InterruptGate, 32> guest_idt{};

/// In the VMM of the receiver.
void count_and_handle(vmx::HostTrap* trap) {
    ++nmis_in_vmm;
    vmx::handle_host_trap(trap);
}

[[noreturn]] void receive(void*) {
    constexpr std::size_t nmi_vector = 2;
    guest_idt[nmi_vector] = arch::interrupt_gate(
        reinterpret_cast<std::uint64_t>(&guest_nmi_handler), arch::read_cs(), 0);
    arch::lidt({.limit_bytes = sizeof guest_idt - 1,
                .base = reinterpret_cast<std::uint64_t>(guest_idt.data())});
    receiver_apic_id = tests::LocalApic::id();
    set(receiver_is_ready, true);
    // About as long in the guest as in the VMM.
    while (!read(sender_is_done)) {
        (void)arch::cpuid(0);
        for (unsigned i = 0; i < 30; ++i) {
            arch::pause();
        }
    }
    stop();
}

void run_receiver(void* session) {
    (void)static_cast<tests::TestSession*>(session)->run(receive, nullptr);
    set(receiver_is_gone, true);
}

// ---- The sender

/// Returns  whether it came
bool wait_for_answer(std::uint64_t number) {
    constexpr unsigned patience = 20'000;
    for (unsigned i = 0; i < patience; ++i) {
        if (read(nmis_received) >= number) {
            return true;
        }
        arch::pause();
    }
    return false;
}

void dawdle(std::uint64_t number) {
    for (std::uint64_t i = 0; i < number * 37 % 251; ++i) {
        arch::pause();
    }
}

[[noreturn]] void send(void*) {
    while (!read(receiver_is_ready) && !read(receiver_is_gone)) {
        arch::pause();
    }
    while (sent < wanted && !read(receiver_is_gone)) {
        local_apic.send_nmi(receiver_apic_id);
        ++sent;
        if (!wait_for_answer(sent)) {
            break;
        }
        dawdle(sent);
    }
    (void)wait_for_answer(wanted + 1);  // one too many would come now
    set(sender_is_done, true);
    stop();
}

// ---- Both

bool judge(const vmx::VirtualProcessor& receiver) {
    const std::uint64_t in_guest = receiver.exits[vmx::ExitReason::exception_or_nmi];
    tests::print_event(
        "NmiProof sent=%llu received=%llu nested=%llu in_guest=%llu in_vmm=%llu windows=%llu "
        "end=%u\n",
        sent, nmis_received, nmis_nested, in_guest, nmis_in_vmm,
        receiver.exits[vmx::ExitReason::nmi_window],
        static_cast<unsigned>(receiver.guest_stop.why));
    return sent == wanted && nmis_received == wanted && nmis_nested == 0 && in_guest != 0 &&
           nmis_in_vmm != 0 && in_guest + nmis_in_vmm == wanted &&
           receiver.guest_stop.why == vmx::StopReason::stopped_by_guest;
}

void on_unload(PDRIVER_OBJECT) {
    local_apic.unmap();
}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    if (KeQueryActiveProcessorCount(nullptr) < 2) {
        return STATUS_NOT_SUPPORTED;
    }
    const platform::PinnedToProcessor pinned;
    auto sender = tests::TestSession::prepare(*driver);
    auto receiver = tests::TestSession::prepare(*driver);
    if (!sender || !receiver) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!local_apic.map()) {
        return STATUS_NOT_SUPPORTED;
    }
    driver->DriverUnload = on_unload;
    receiver->vmm().stacks.nmi.on_trap = count_and_handle;
    {
        const tests::OnOtherProcessor other{pinned.index() == 0 ? 1UL : 0UL, run_receiver,
                                            &*receiver};
        if (!other.started()) {
            set(receiver_is_gone, true);
        }
        if (const auto guest_stop = sender->run(send, nullptr); !guest_stop) {
            tests::print_failure(guest_stop.error());
            set(sender_is_done, true);
        }
    }
    if (!judge(receiver->vmm().processor)) {
        on_unload(driver);
        return STATUS_UNSUCCESSFUL;
    }
    return STATUS_SUCCESS;
}
