// Snippets of code that fault, trap and interrupt, on the bare processor and in a guest: do
// handlers find the same?
//
// Each snippet is generated from the seed and runs three times from the same state, with an IDT,
// GDT and TSS of our own: outside VMX operation; in a guest whose exceptions do not exit; and in
// one whose exceptions all exit, so that the VMM gives each of them back. What the handlers find is
// written down: vector, error code, RIP, CS, RFLAGS, RSP, SS, CR2, DR6, one behind the other.
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/exits/hypercall.hpp"
#include "platform/host.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "tests/drivers/snippet_runner.hpp"
#include "tests/drivers/test_session.hpp"

extern "C" NTKERNELAPI PVOID NTAPI MmGetVirtualForPhysical(PHYSICAL_ADDRESS PhysicalAddress);

namespace {

using namespace hvp;
using namespace hvp::tests;

/// What one pass through all snippets has come to.
struct Pass {
    const char* name;
    std::uint64_t seed;
    arch::ProcessorState windows;
    Log* bare;
    std::array<std::uint64_t, kinds> same{};
    std::array<std::uint64_t, kinds> records{};
    std::uint64_t tried{};
    std::uint64_t different{};
    std::uint64_t first_different{};
    Log first{};
    bool loaded{};
};

constexpr std::array<const char*, kinds> kind_names{
    "fault",           "with-error-code", "page-fault",     "trap",    "single-step",
    "code-breakpoint", "data-breakpoint", "no-stack",       "no-gate", "nested",
    "ring-3",          "compatibility",   "vmx-instruction"};

void run_bare(Pass& pass) {
    const arch::InterruptsOff interrupts_off;
    pass.loaded = load_tables(pass.windows);
    if (!pass.loaded) {
        return;
    }
    for (std::size_t i = 0; i < snippets; ++i) {
        run_one(generate(i, pass.seed), pass.bare[i]);
        pass.records[i % kinds] += pass.bare[i].count;
    }
    leave_tables(pass.windows);
}

[[noreturn]] void run_in_guest(void* argument) {
    Pass& pass = *static_cast<Pass*>(argument);
    pass.loaded = load_tables(pass.windows);
    static constinit Log log{};
    for (std::size_t i = 0; pass.loaded && i < snippets; ++i) {
        ++pass.tried;
        run_one(generate(i, pass.seed), log);
        pass.records[i % kinds] += log.count;
        if (log == pass.bare[i]) {
            ++pass.same[i % kinds];
        } else if (pass.different++ == 0) {
            pass.first_different = i;
            pass.first = log;
        }
    }
    (void)vmx::hypercall(vmx::Hypercall::stop, 0);
    for (;;) {
        arch::hlt();
    }
}

void print_log(const char* where, const Log& log) {
    for (std::size_t i = 0; i < log.count; ++i) {
        const Record& record = log.records[i];
        tests::print_event(
            "EventRecord where=\"%s\" number=%llu vector=%llu error_code=0x%llx rip=0x%llx "
            "cs=0x%llx rflags=0x%llx rsp=0x%llx ss=0x%llx cr2=0x%llx dr6=0x%llx\n",
            where, static_cast<std::uint64_t>(i), record.pushed.vector, record.pushed.error_code,
            record.pushed.rip, record.pushed.cs, record.pushed.rflags, record.pushed.rsp,
            record.pushed.ss, record.cr2, record.dr6);
    }
}

void tell(const Pass& pass) {
    for (std::size_t kind = 0; kind < kinds; ++kind) {
        tests::print_event(
            "EventClass pass=\"%s\" kind=\"%s\" snippets=%llu same=%llu records=%llu\n", pass.name,
            kind_names[kind], static_cast<std::uint64_t>(snippets_of_each), pass.same[kind],
            pass.records[kind]);
    }
    tests::print_event("EventPass pass=\"%s\" different=%llu first=%llu kind=\"%s\"\n", pass.name,
                       pass.different, pass.first_different,
                       kind_names[pass.first_different % kinds]);
    if (pass.different != 0) {
        print_log("bare", pass.bare[pass.first_different]);
        print_log(pass.name, pass.first);
    }
}

bool compare(tests::TestSession& session, Pass pass, std::uint32_t exceptions) {
    session.options.exceptions = exceptions;
    const auto guest_stop = session.run(run_in_guest, &pass);
    if (!guest_stop) {
        tests::print_failure(guest_stop.error());
        return false;
    }
    tell(pass);
    tests::print_event(
        "EventGuest pass=\"%s\" end=%u exception_exits=%llu tried=%llu refused=0x%x\n", pass.name,
        static_cast<unsigned>(guest_stop->why),
        session.vmm().processor.exits[vmx::ExitReason::exception_or_nmi], pass.tried,
        std::bit_cast<std::uint32_t>(guest_stop->refused_event));
    session.vmm().processor.exits[vmx::ExitReason::exception_or_nmi] = 0;
    return guest_stop->why == vmx::StopReason::stopped_by_guest && pass.loaded &&
           pass.different == 0;
}

void on_unload(PDRIVER_OBJECT) {}

constexpr ULONG tag = 'tnvE';

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    const platform::PinnedToProcessor pinned;
    auto session = tests::TestSession::prepare(*driver);
    if (!session) {
        return windows::status_of(session.error().kind);
    }
    auto* const code =
        static_cast<std::uint8_t*>(ExAllocatePoolWithTag(NonPagedPoolExecute, PAGE_SIZE, tag));
    auto* const logs =
        static_cast<Log*>(ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(Log) * snippets, tag));
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    if (code != nullptr && logs != nullptr) {
        const DebugRegistersKept debug_registers;
        const PHYSICAL_ADDRESS top{
            .QuadPart = static_cast<LONGLONG>(arch::read_cr3() & ~(arch::page_bytes - 1))};
        prepare_runner(code, static_cast<const std::uint64_t*>(MmGetVirtualForPhysical(top)));
        Pass bare{.name = "bare",
                  .seed = arch::rdtsc() ^ reinterpret_cast<std::uint64_t>(driver->DriverStart),
                  .windows = arch::ProcessorState::capture(),
                  .bare = logs};
        run_bare(bare);
        tell(bare);
        const Pass next{
            .name = "no exception exits", .seed = bare.seed, .windows = bare.windows, .bare = logs};
        Pass last = next;
        last.name = "all exceptions exit";
        const bool first_same = compare(*session, next, 0);
        const bool second_same = compare(*session, last, ~0U);
        status = bare.loaded && first_same && second_same ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
    }
    if (code != nullptr) {
        ExFreePoolWithTag(code, tag);
    }
    if (logs != nullptr) {
        ExFreePoolWithTag(logs, tag);
    }
    return status;
}
