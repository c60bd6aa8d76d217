#include "tests/drivers/snippet_runner.hpp"

#include "hypervisor/vmcs/event_information.hpp"
#include "platform/windows/nt.hpp"

namespace {
struct Start;
}

extern "C" {
void hvp_event_stubs();
void hvp_run_snippet(Start* start);
void hvp_snippet_is_over();
void hvp_fault_in_handler();
void hvp_event(hvp::tests::Pushed* pushed);
}

namespace {

using namespace hvp;
using namespace hvp::tests;
using vmx::Vector;

// ---- What a run needs --------------------------------------------------------------------------

/// For hvp_run_snippet.
struct Start {
    std::uint64_t runner_rsp{};
    std::uint64_t rip, cs, rflags, rsp, ss;
    std::uint64_t rax, rbx, rbp;
};

/// The handlers of CPL 0 run on it, too, one within the other.
alignas(16) constinit std::array<std::uint64_t, 512> snippet_stack{};

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
    alignas(arch::page_bytes) std::array<std::byte, arch::page_bytes> low_stack;
    std::uint8_t* code;
    std::uint64_t cr3;
};
// One page of code and one for a stack, twice: for CPL 3, and for 32-bit code at CPL 0, which must
// not be CPL 3's where there is SMEP or SMAP.
constexpr std::uint64_t user_code = 0x40'0000;
constexpr std::uint64_t kernel_32_code = user_code + 2 * arch::page_bytes;
constexpr std::uint64_t stack_end_behind_code = 2 * arch::page_bytes;

constinit Place here{};
constinit Place* const place = &here;
constinit const Snippet* snippet{};
constinit Start start{};
constinit Log* writing{};
constinit bool in_handler{};
constinit std::uint16_t runner_ss{};

std::uint64_t physical(void* page) {
    return static_cast<std::uint64_t>(MmGetPhysicalAddress(page).QuadPart);
}

/// Windows' selectors for CPL 3, and two of our own, behind its GDT and our TSS.
struct Selectors {
    std::uint16_t code;
    std::uint16_t data;
};
constexpr Selectors kernel_32{.code = 0x1C0, .data = 0x1C8};
constexpr std::array<Selectors, modes> selectors_of{{{}, {0x33, 0x2B}, {0x23, 0x2B}, kernel_32}};

void set_gate(std::size_t vector, std::uint8_t stack) {
    constexpr std::size_t stub_bytes = 16;
    place->tables.idt[vector] = arch::interrupt_gate(
        reinterpret_cast<std::uint64_t>(&hvp_event_stubs) + vector * stub_bytes, arch::read_cs(),
        stack);
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

namespace hvp::tests {

std::uint64_t code_of(const Snippet& which) {
    switch (which.mode) {
        case Mode::kernel:
            return reinterpret_cast<std::uint64_t>(place->code);
        case Mode::kernel_32:
            return kernel_32_code;
        default:
            return user_code;
    }
}

void prepare_runner(std::uint8_t* code, const std::uint64_t* windows_pml4) {
    constexpr std::uint64_t present_writable = 3;
    constexpr std::uint64_t present_writable_user = 7;
    constexpr std::uint64_t large = 1U << 7;
    place->code = code;
    std::copy(windows_pml4, windows_pml4 + 512, place->pml4.begin());
    place->pml4[0] = physical(&place->pointers) | present_writable_user;
    place->pointers[0] = physical(&place->directory) | present_writable_user;
    place->directory[user_code >> 21] = physical(&place->pages) | present_writable_user;
    place->pages[0] = physical(place->code) | present_writable_user;
    place->pages[1] = physical(&place->low_stack) | present_writable_user;
    place->pages[2] = physical(place->code) | present_writable;
    place->pages[3] = physical(&place->low_stack) | present_writable;
    place->directory[0] = large | present_writable;  // physical memory from 0 on
    place->cr3 = physical(&place->pml4);
}

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
    place->tables.gdt[kernel_32.code / 8] = 0x00CF'9B00'0000'FFFF;
    place->tables.gdt[kernel_32.data / 8] = 0x00CF'9300'0000'FFFF;
    arch::write_cr3(place->cr3);
    return true;
}

void leave_tables(const arch::ProcessorState& windows) {
    arch::write_cr3(windows.cr3);
    vmx::restore_after_own_tables(place->tables, windows);
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
    start = {.rip = code,
             .cs = arch::read_cs(),
             .rflags = which.rflags,
             .rsp = which.stack_is_absent ? absent + 0x800
                                          : reinterpret_cast<std::uint64_t>(
                                                snippet_stack.data() + snippet_stack.size() - 16),
             .ss = arch::read_ss(),
             .rax = which.rax,
             .rbx = reinterpret_cast<std::uint64_t>(data.data()),
             .rbp = which.rbp};
    if (which.mode != Mode::kernel) {
        start.cs = selectors_of[static_cast<std::size_t>(which.mode)].code;
        start.ss = selectors_of[static_cast<std::size_t>(which.mode)].data;
        start.rsp = code + stack_end_behind_code - 0x100;
        start.rbx = 0;
    }
    arch::write_cr2(0);
    arch::write_dr<6>(dr6_at_rest);
    arch::write_dr<0>(which.dr7 == on_execution ? code + which.event_at : start.rbx);
    arch::write_dr7(which.dr7 | 0x400);
    hvp_run_snippet(&start);
    arch::write_dr7(0x400);
}

}  // namespace hvp::tests

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
