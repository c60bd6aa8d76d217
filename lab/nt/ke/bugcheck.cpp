// Reports a bug check as an event: code, parameters, registers, stack.
#include "lab/nt/ke/bugcheck.hpp"

#include <algorithm>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/dbg/event.hpp"
#include "lab/nt/examiner/verdict.hpp"
#include "lab/nt/hal/shutdown.hpp"
#include "lab/nt/ke/current_processor.hpp"
#include "lab/nt/ke/ipi.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/ke/stack_walk.hpp"
#include "lab/nt/ldr/module.hpp"
#include "lab/nt/rtl/context.hpp"

namespace hvp::lab::ke {
namespace {

constinit int depth{};
constinit std::uint32_t crashing_processor{};  // its number + 1
constinit rtl::Context own_context{};

constexpr std::array register_names{"rax"sv, "rcx"sv, "rdx"sv, "rbx"sv, "rsp"sv, "rbp"sv,
                                    "rsi"sv, "rdi"sv, "r8"sv,  "r9"sv,  "r10"sv, "r11"sv,
                                    "r12"sv, "r13"sv, "r14"sv, "r15"sv};

struct Snapshot {
    rtl::Registers registers{};
    std::uint64_t rflags{};
    std::uint64_t cs{};
    std::uint64_t ss{};
};

Snapshot snapshot_of(const TrapFrame& f) {
    return {.registers = {.general = {f.rax, f.rcx, f.rdx, f.rbx, f.rsp, f.rbp, f.rsi, f.rdi, f.r8,
                                      f.r9, f.r10, f.r11, f.r12, f.r13, f.r14, f.r15},
                          .rip = f.rip},
            .rflags = f.rflags,
            .cs = f.cs,
            .ss = f.ss};
}

Snapshot snapshot_of(const rtl::Context& context) {
    return {.registers = {.general = context.general, .rip = context.rip},
            .rflags = context.eflags,
            .cs = context.cs,
            .ss = context.ss};
}

/// Without a trap the bug check is attributed to the kernel's caller: the first frame outside the
/// kernel. Registers that calls need not preserve hold the kernel's values.
rtl::Registers caller_outside_the_kernel(const rtl::Registers& here) {
    rtl::Registers registers = here;
    while (ldr::module_at(registers.rip) == &ldr::kernel_module()) {
        if (!unwind_frame(registers)) {
            return here;
        }
    }
    return ldr::module_at(registers.rip) != nullptr ? registers : here;
}

/// The caller of bug_check: its own frame is of no interest.
rtl::Registers caller_of(const rtl::Registers& here) {
    rtl::Registers registers = here;
    return unwind_frame(registers) ? registers : here;
}

void write_registers(dbg::JsonLine& line, const Snapshot& snapshot) {
    line.begin_object("registers");
    for (std::size_t i = 0; i < register_names.size(); ++i) {
        line.hex(register_names[i], snapshot.registers.general[i]);
    }
    line.hex("rip", snapshot.registers.rip);
    line.hex("rflags", snapshot.rflags);
    line.hex("cs", snapshot.cs);
    line.hex("ss", snapshot.ss);
    line.hex("cr0", arch::read_cr0().raw());
    line.hex("cr2", arch::read_cr2());
    line.hex("cr3", arch::read_cr3());
    line.hex("cr4", arch::read_cr4().raw());
    line.end_object();
}

void write_parameters(dbg::JsonLine& line, const BugCheck& what) {
    line.begin_array("parameters");
    for (const auto parameter : what.parameters) {
        line.hex_element(parameter);
    }
    line.end_array();
}

void report(const BugCheck& what, Snapshot snapshot, Irql irql) {
    const BugCheckFacts facts = facts_about(what.code);
    const StackTrace trace =
        walk_stack(what.frame != nullptr ? snapshot.registers : caller_of(snapshot.registers));
    if (what.frame == nullptr) {
        snapshot.registers = caller_outside_the_kernel(snapshot.registers);
    }
    dbg::Event event{"BugCheck"};
    auto& line = event.line();
    line.hex("code", static_cast<std::uint32_t>(what.code));
    line.text("name", facts.name);
    write_parameters(line, what);
    line.begin_array("meaning");
    for (const auto sentence : facts.meaning) {
        line.element(sentence);
    }
    line.end_array();
    line.text("irql", name_of(irql));
    line.hex("rip", snapshot.registers.rip);
    write_registers(line, snapshot);
    line.begin_array("stack");
    for (std::size_t i = 0; i < trace.count; ++i) {
        line.hex_element(trace.addresses[i]);
    }
    line.end_array();
    line.begin_array("functions");
    for (std::size_t i = 0; i < trace.count; ++i) {
        line.hex_element(trace.functions[i]);
    }
    line.end_array();
    line.text("stack_found_by", trace.by_scan ? "scan" : "unwind data");
    line.text("detail", what.detail);
}

/// Only what can be reported without access to memory; the other members are present and empty.
void report_briefly(const BugCheck& what, const Snapshot& snapshot, Irql irql) {
    dbg::Event event{"BugCheck"};
    auto& line = event.line();
    line.hex("code", static_cast<std::uint32_t>(what.code));
    line.text("name", facts_about(what.code).name);
    write_parameters(line, what);
    line.begin_array("meaning");
    line.end_array();
    line.text("irql", name_of(irql));
    line.hex("rip", snapshot.registers.rip);
    write_registers(line, snapshot);
    line.begin_array("stack");
    line.hex_element(snapshot.registers.rip);
    line.end_array();
    line.begin_array("functions");
    line.end_array();
    line.text("stack_found_by", "nothing");
    line.text("detail", "this happened while another trap or bug check was being handled");
}

/// Only the first processor with a bug check reports it. Others freeze here, or where they are.
void stop_others() {
    const std::uint32_t self = current_processor_number() + 1;
    std::uint32_t current = 0;
    if (__atomic_compare_exchange_n(&crashing_processor, &current, self, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        dbg::take_over_output();
        freeze_others();
    } else if (current != self) {
        freeze();
    }
}

}  // namespace

void bug_check(const BugCheck& what) {
    const auto flags = arch::read_rflags();
    arch::cli();
    stop_others();
    rtl::RtlCaptureContext(&own_context);
    own_context.eflags = static_cast<std::uint32_t>(flags.raw());
    const Snapshot snapshot =
        what.frame != nullptr ? snapshot_of(*what.frame) : snapshot_of(own_context);
    const Irql irql = current_irql();
    set_irql(Irql::high);
    ++depth;
    if (depth == 1) {
        report(what, snapshot, irql);
    } else if (depth == 2) {
        report_briefly(what, snapshot, irql);
    }
    if (depth <= 3) {
        examiner::verdict().report_summary(examiner::Result::bug_check);
    }
    hal::shut_down();
}

void nested_bug_check(const BugCheck& what) {
    depth = std::max(depth, 1);
    bug_check(what);
}

}  // namespace hvp::lab::ke
