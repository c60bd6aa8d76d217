// Fills the tables of the VMM, and leaves them.
#include "hypervisor/vcpu/host_environment.hpp"

#include <algorithm>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vmcs/event_information.hpp"

namespace hvp::vmx {
namespace {

extern "C" const std::byte hvp_host_trap_stubs[];  // entry.S

constexpr std::size_t vectors_with_stubs = 32;
constexpr std::size_t bytes_of_stub = 16;

TrapStackIndex stack_of(std::size_t vector) {
    switch (static_cast<Vector>(vector)) {
        case Vector::nmi:
            return TrapStackIndex::nmi;
        case Vector::machine_check:
            return TrapStackIndex::machine_check;
        default:
            return TrapStackIndex::exception;
    }
}

Failure unsupported_gdt(std::size_t slots) {
    static constexpr Explanation why{
        .step = "host GDT",
        .rule = {"3C", "26.2.3", "Checks on Host Segment and Descriptor-Table Registers"},
        .remedy =
            "our TSS needs two entries after those of the GDT, which has this many: raise "
            "HostTables::gdt_slots",
    };
    return {
        .kind = FailureKind::unexpected, .why = &why, .number = static_cast<std::uint32_t>(slots)};
}

}  // namespace

void copy_gdt(HostTables& tables, const arch::ProcessorState& host_system) {
    const auto theirs = host_system.gdt();
    std::ranges::copy(theirs.first(std::min(theirs.size(), HostTables::gdt_slots - 2)),
                      tables.gdt.begin());
    tables.gdt[host_system.tr.index] &= ~arch::task_busy;
}

std::expected<HostSelectors, Failure> fill(HostTables& tables, const HostStacks& stacks,
                                           const arch::ProcessorState& host_system) {
    const auto theirs = host_system.gdt();
    const std::size_t slots = theirs.size();
    if (slots + 2 > HostTables::gdt_slots || host_system.tr.index >= slots) {
        return std::unexpected{unsupported_gdt(slots)};
    }
    copy_gdt(tables, host_system);

    // IST1 to IST3; entry 0 does not exist.  [SDM 3A 7.7 "Task Management in 64-bit Mode"]
    tables.task.interrupt_stacks = {0, stacks.exception.top(), stacks.machine_check.top(),
                                    stacks.nmi.top()};
    tables.task.io_map_base = sizeof(arch::TaskStateSegment);
    std::ranges::copy(arch::task_descriptor(reinterpret_cast<std::uint64_t>(&tables.task)),
                      tables.gdt.begin() + static_cast<std::ptrdiff_t>(slots));

    for (std::size_t vector = 0; vector < vectors_with_stubs; ++vector) {
        tables.idt[vector] = arch::interrupt_gate(
            reinterpret_cast<std::uint64_t>(hvp_host_trap_stubs + vector * bytes_of_stub),
            arch::raw(host_system.cs.for_host()), static_cast<std::uint8_t>(stack_of(vector)));
    }
    return HostSelectors{.code = host_system.cs.for_host(),
                         .data = host_system.ss.for_host(),
                         .task = {.index = static_cast<std::uint16_t>(slots)}};
}

void restore_after_own_tables(const HostTables& tables, const arch::ProcessorState& host_system) {
    // An NMI from here on meets our IDT, whose gates need the code selector, and our TSS.
    arch::lgdt({.limit_bytes = sizeof tables.gdt - 1,
                .base = reinterpret_cast<std::uint64_t>(&tables.gdt)});
    host_system.restore_selectors();
    arch::lidt(host_system.idtr);
    // Now it meets the host system's handlers, which need GS (there already), on the stacks of our
    // TSS.
    arch::ltr(arch::raw(host_system.tr));
    arch::lgdt(host_system.gdtr);
    host_system.restore_debug_state();
}

}  // namespace hvp::vmx
