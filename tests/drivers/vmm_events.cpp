// Snippets of code that fault, trap and interrupt, on the bare processor and in a guest: do
// handlers find the same?
//
// Each snippet is generated from the seed and runs three times from the same state, with an IDT,
// GDT and TSS of our own: outside VMX operation; in a guest whose exceptions do not exit; and in
// one whose exceptions all exit, so that the VMM gives each of them back. What the handlers find is
// written down: vector, error code, RIP, CS, RFLAGS, RSP, SS, CR2, DR6, one behind the other.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vmx/hypercall.hpp"
#include "hypervisor/vmx/interruption.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/processors.hpp"
#include "platform/windows/status.hpp"
#include "tests/drivers/event_snippets.hpp"
#include "tests/drivers/guest_session.hpp"

extern "C" NTKERNELAPI PVOID NTAPI MmGetVirtualForPhysical(PHYSICAL_ADDRESS PhysicalAddress);

namespace {
struct Pushed;
struct Start;
}  // namespace

extern "C" {
void hvp_event_stubs();
void hvp_run_snippet(Start* start);
void hvp_snippet_is_over();
void hvp_fault_in_handler();
void hvp_event(Pushed* pushed);
}

namespace {

using namespace hvp;
using namespace hvp::tests;
using vmx::Vector;

// ---- What is written down ----------------------------------------------------------------------

/// The stack of a handler, from the vector that the stub has pushed.
struct Pushed {
    std::uint64_t vector;
    std::uint64_t error_code;
    std::uint64_t rip;
    std::uint64_t cs;
    std::uint64_t rflags;
    std::uint64_t rsp;
    std::uint64_t ss;
};

struct Record {
    Pushed pushed;
    std::uint64_t cr2;
    std::uint64_t dr6;

    friend bool operator==(const Record& a, const Record& b) {
        return std::bit_cast<std::array<std::uint64_t, 9>>(a) ==
               std::bit_cast<std::array<std::uint64_t, 9>>(b);
    }
};

constexpr std::size_t most_records = 8;

struct Log {
    std::size_t count;
    std::array<Record, most_records> records;

    friend bool operator==(const Log& a, const Log& b) {
        return a.count == b.count &&
               std::equal(a.records.begin(), a.records.begin() + a.count, b.records.begin());
    }
};

// ---- What a run needs --------------------------------------------------------------------------

/// For hvp_run_snippet.
struct Start {
    std::uint64_t runner_rsp{};
    std::uint64_t rip, cs, rflags, rsp, ss;
    std::uint64_t rax, rbx, rbp;
};

constexpr std::uint8_t end_vector = 0xEE;
constexpr std::uint64_t resume_flag = 0x1'0000;
constexpr std::uint64_t dr6_at_rest = 0xFFFF'0FF0;

alignas(16) constinit std::array<std::uint64_t, 64> snippet_stack{};

// ---- One run -----------------------------------------------------------------------------------

/// Everything that the processor uses in a run, and the page of code.
struct Place {
    vmx::HostTables tables;
    alignas(16) std::array<std::byte, 8192> exception_stack;
    alignas(16) std::array<std::byte, 8192> kernel_stack;  ///< for what comes from CPL 3
    /// Windows' page tables, but for the first 512 GBytes: the page of code and a stack for CPL 3.
    alignas(arch::page_bytes) std::array<std::uint64_t, 512> pml4;
    alignas(arch::page_bytes) std::array<std::uint64_t, 512> pointers;
    alignas(arch::page_bytes) std::array<std::uint64_t, 512> directory;
    alignas(arch::page_bytes) std::array<std::uint64_t, 512> pages;
    alignas(arch::page_bytes) std::array<std::byte, arch::page_bytes> user_stack;
    std::uint8_t* code;
    std::uint64_t cr3;
};
constexpr std::uint64_t user_code = 0x40'0000;
constexpr std::uint64_t user_stack_end = user_code + 2 * arch::page_bytes;

constinit Place* place{};
constinit const Snippet* snippet{};
constinit Start start{};
constinit Log* writing{};
constinit bool in_handler{};
constinit std::uint16_t runner_ss{};

std::uint64_t code_of(const Snippet& which) {
    return which.mode != Mode::kernel ? user_code : reinterpret_cast<std::uint64_t>(place->code);
}

std::uint64_t physical(void* page) {
    return static_cast<std::uint64_t>(MmGetPhysicalAddress(page).QuadPart);
}

/// Where    outside VMX operation
void make_page_tables(const std::uint64_t* windows_pml4) {
    constexpr std::uint64_t present_writable_user = 7;
    std::copy(windows_pml4, windows_pml4 + 512, place->pml4.begin());
    place->pml4[0] = physical(&place->pointers) | present_writable_user;
    place->pointers[0] = physical(&place->directory) | present_writable_user;
    place->directory[user_code >> 21] = physical(&place->pages) | present_writable_user;
    place->pages[0] = physical(place->code) | present_writable_user;
    place->pages[1] = physical(&place->user_stack) | present_writable_user;
    place->cr3 = physical(&place->pml4);
}

void set_gate(std::size_t vector, std::uint8_t stack) {
    constexpr std::size_t stub_bytes = 16;
    place->tables.idt[vector] = arch::interrupt_gate(
        reinterpret_cast<std::uint64_t>(&hvp_event_stubs) + vector * stub_bytes, arch::read_cs(),
        stack);
}

/// Our tables, whose IST 1 is for what must not use the snippet's stack.
bool load_tables(const arch::ProcessorState& windows) {
    static constinit vmx::HostStacks unused{};
    const auto selectors = vmx::fill(place->tables, unused, windows);
    if (!selectors) {
        return false;
    }
    place->tables.task.interrupt_stacks[1] =
        reinterpret_cast<std::uint64_t>(&place->exception_stack) + sizeof place->exception_stack;
    arch::lgdt({.limit_bytes = sizeof place->tables.gdt - 1,
                .base = reinterpret_cast<std::uint64_t>(&place->tables.gdt)});
    arch::ltr(std::bit_cast<std::uint16_t>(selectors->task));
    arch::lidt({.limit_bytes = sizeof place->tables.idt - 1,
                .base = reinterpret_cast<std::uint64_t>(&place->tables.idt)});
    place->tables.task.rsp[0] =
        reinterpret_cast<std::uint64_t>(&place->kernel_stack) + sizeof place->kernel_stack;
    arch::write_cr3(place->cr3);
    return true;
}

void run_one(const Snippet& which, Log& log) {
    snippet = &which;
    writing = &log;
    log.count = 0;
    in_handler = false;
    runner_ss = arch::read_ss();
    for (std::size_t vector = 0; vector < 256; ++vector) {
        set_gate(vector, 0);
    }
    set_gate(static_cast<std::size_t>(Vector::double_fault), 1);
    set_gate(static_cast<std::size_t>(Vector::page_fault), which.page_fault_has_stack ? 1 : 0);
    set_gate(end_vector, 1);
    constexpr std::uint64_t anybody = 3;
    for (const std::size_t vector : {std::size_t{3}, std::size_t{4}, std::size_t{end_vector}}) {
        place->tables.idt[vector].privilege_level = anybody;
    }
    for (std::size_t vector = 0x20; vector < 0x60; ++vector) {
        place->tables.idt[vector].privilege_level = anybody;
    }
    if (which.missing_gate >= 0) {
        place->tables.idt[static_cast<std::size_t>(which.missing_gate)].present = 0;
    }
    std::copy(which.code.begin(), which.code.end(), place->code);
    place->code[which.bytes] = 0xCD;
    place->code[which.bytes + 1] = end_vector;
    const std::uint64_t code = code_of(which);
    // Windows' selectors: code of 64 and of 32 bits, and data, for CPL 3.
    constexpr std::uint64_t user_code_64 = 0x33;
    constexpr std::uint64_t user_code_32 = 0x23;
    constexpr std::uint64_t user_data = 0x2B;
    start = {.rip = code,
             .cs = arch::read_cs(),
             .rflags = which.rflags,
             .rsp = which.stack_is_absent
                        ? absent + 0x800
                        : reinterpret_cast<std::uint64_t>(snippet_stack.data() + 48),
             .ss = arch::read_ss(),
             .rax = which.rax,
             .rbx = reinterpret_cast<std::uint64_t>(data.data()),
             .rbp = which.rbp};
    if (which.mode != Mode::kernel) {
        start.cs = which.mode == Mode::user_32 ? user_code_32 : user_code_64;
        start.ss = user_data;
        start.rsp = user_stack_end - 0x100;
        start.rbx = 0;
    }
    arch::write_cr2(0);
    arch::write_dr<6>(dr6_at_rest);
    arch::write_dr<0>(which.dr7 == on_execution ? code + which.event_at : start.rbx);
    arch::write_dr7(which.dr7 | 0x400);
    hvp_run_snippet(&start);
    arch::write_dr7(0x400);
}

void end_snippet(Pushed& pushed) {
    pushed.rip = reinterpret_cast<std::uint64_t>(&hvp_snippet_is_over);
    pushed.cs = arch::read_cs();
    pushed.ss = runner_ss;  // null in a handler that CPL 3 has led to
    pushed.rsp = start.runner_rsp;
    pushed.rflags = always_one;
}

/// Traps go on where they were; faults at the end.
void go_on(Pushed& pushed) {
    const bool is_trap =
        pushed.vector == 1 || pushed.vector == 3 || pushed.vector == 4 || pushed.vector >= 0x20;
    if (!is_trap) {
        pushed.rip = code_of(*snippet) + snippet->bytes;
        pushed.rflags &= ~trap_flag;
        return;
    }
    const std::uint64_t breakpoint = code_of(*snippet) + snippet->event_at;
    if (snippet->dr7 == on_execution && pushed.rip == breakpoint) {
        pushed.rflags |= resume_flag;
    }
}

}  // namespace

/// Called by the stubs: writes down, and decides where the snippet goes on.
extern "C" void hvp_event(Pushed* pushed) {
    const bool is_end = pushed->vector == end_vector;
    if (writing->count == most_records) {
        end_snippet(*pushed);
        return;
    }
    writing->records[writing->count++] = {
        .pushed = *pushed, .cr2 = arch::read_cr2(), .dr6 = arch::read_dr<6>()};
    arch::write_dr<6>(dr6_at_rest);
    if (in_handler) {
        constexpr std::uint64_t ud2_bytes = 2;
        pushed->rip += ud2_bytes;
        return;
    }
    if (snippet->handler_faults && writing->count == 1) {
        in_handler = true;
        hvp_fault_in_handler();
        in_handler = false;
    }
    if (is_end) {
        end_snippet(*pushed);
    } else {
        go_on(*pushed);
    }
}

// ---- All runs ----------------------------------------------------------------------------------

namespace {

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
    arch::write_cr3(pass.windows.cr3);
    vmx::restore_after_own_tables(place->tables, pass.windows);
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

/// DR0 to DR3 and DR6 as they were.
class DebugRegistersKept {
public:
    DebugRegistersKept() : dr0_{arch::read_dr<0>()}, dr6_{arch::read_dr<6>()} {}
    DebugRegistersKept(const DebugRegistersKept&) = delete;
    DebugRegistersKept& operator=(const DebugRegistersKept&) = delete;
    ~DebugRegistersKept() {
        arch::write_dr<0>(dr0_);
        arch::write_dr<6>(dr6_);
    }

private:
    std::uint64_t dr0_;
    std::uint64_t dr6_;
};

bool compare(tests::GuestSession& session, Pass pass, std::uint32_t exceptions) {
    session.intercept_exceptions(exceptions);
    const auto ending = session.run(run_in_guest, &pass);
    if (!ending) {
        tests::print_failure(ending.error());
        return false;
    }
    tell(pass);
    tests::print_event(
        "EventGuest pass=\"%s\" end=%u exception_exits=%llu tried=%llu refused=0x%x\n", pass.name,
        static_cast<unsigned>(ending->end), session.vmm().processor.exits[0], pass.tried,
        std::bit_cast<std::uint32_t>(ending->refused_event));
    session.vmm().processor.exits[0] = 0;
    return ending->end == vmx::End::stopped_by_guest && pass.loaded && pass.different == 0;
}

void on_unload(PDRIVER_OBJECT) {}

constexpr ULONG tag = 'tnvE';

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    const windows::PinnedToProcessor pinned;
    auto session = tests::GuestSession::prepare(*driver);
    if (!session) {
        return windows::status_of(session.error().kind);
    }
    auto* const code =
        static_cast<std::uint8_t*>(ExAllocatePoolWithTag(NonPagedPoolExecute, PAGE_SIZE, tag));
    auto* const logs =
        static_cast<Log*>(ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(Log) * snippets, tag));
    static constinit Place here{};
    place = &here;
    place->code = code;
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    if (code != nullptr && logs != nullptr) {
        const DebugRegistersKept debug_registers;
        const PHYSICAL_ADDRESS top{.QuadPart = static_cast<LONGLONG>(arch::read_cr3())};
        make_page_tables(static_cast<const std::uint64_t*>(MmGetVirtualForPhysical(top)));
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
