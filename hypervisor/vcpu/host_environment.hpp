// The VMM's own environment: what the processor finds when a VM exit has loaded the host state.
//
// GDT, TSS, IDT and stacks are ours, so that whatever happens in VMX root operation is answered by
// our code, on our stacks, whatever the guest has done to its own.
// [SDM 3C 24.5 "Host-State Area"]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/descriptor_tables.hpp"
#include "hypervisor/arch/page.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/arch/segments.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

struct VirtualProcessor;
struct HostTrap;

/// A stack of one page for one kind of trap. Its last two quadwords tell which function handles it
/// and which virtual processor it concerns: a trap can trust nothing else, not even GS.
struct alignas(arch::page_bytes) TrapStack {
    std::array<std::byte, arch::page_bytes - 16> room{};
    /// IRETQ goes to where it has made the HostTrap point to. Called by entry.S.
    void (*on_trap)(HostTrap* trap){};
    VirtualProcessor* owner{};

    [[nodiscard]] std::uint64_t top() const {
        return reinterpret_cast<std::uint64_t>(&room) + sizeof room;
    }
};
static_assert(sizeof(TrapStack) == arch::page_bytes);

/// The owner of the trap stack that `address` lies in.
[[nodiscard]] inline VirtualProcessor& owner_of_trap_stack(const void* address) {
    const arch::HostLinearAddress page = arch::page_of(arch::linear_address_of(address));
    return *reinterpret_cast<TrapStack*>(page.raw())->owner;
}

/// The tables, one set for each processor.
struct alignas(arch::page_bytes) HostTables {
    static constexpr std::size_t gdt_slots = 64;

    std::array<std::uint64_t, gdt_slots> gdt{};
    arch::TaskStateSegment task{};
    alignas(arch::page_bytes) std::array<arch::InterruptGate, 256> idt{};
};

/// Which of the TSS's stacks a trap of the VMM uses. All use one: the stack on which it happened
/// may be the reason for it. The numbers are those that 64-bit Windows
/// has for the same events, so that in the few instructions between the two either IDT goes with
/// either TSS.
/// [SDM 3A 6.14.5 "Interrupt Stack Table"]
enum class TrapStackIndex : std::uint8_t { exception = 1, machine_check = 2, nmi = 3 };

/// The stacks of the VMM, with holes where a stack must not grow into.
struct HostStacks {
    static constexpr std::size_t main_pages = 4;

    arch::Page hole_0;
    TrapStack exception;
    arch::Page hole_1;
    TrapStack machine_check;
    arch::Page hole_2;
    TrapStack nmi;
    arch::Page hole_3;
    std::array<arch::Page, main_pages> main;
};

/// What a host segment or table field must hold.
struct HostSelectors {
    arch::Selector code;
    arch::Selector data;
    arch::Selector task;
};

/// Fills the tables: the GDT as a copy of the host system's, in which its TSS is available, and our
/// TSS after it; the IDT with our stubs.
///
/// Why a copy: on the way out, selectors and TR are loaded while this GDT is in use, and LTR fails
/// for a TSS that is busy, as the host system's entry says it is. So that GDT is never written.
///
/// Returns  the selectors to use; a Failure if the GDT leaves no room for our TSS, or has no
///          entry for its own: VM entry refuses a host whose task selector is null
[[nodiscard]] std::expected<HostSelectors, Failure> fill(HostTables& tables,
                                                         const HostStacks& stacks,
                                                         const arch::ProcessorState& host_system);

/// Copies the host system's GDT, as far as there is room, with its TSS available: LTR fails for one
/// that is busy.
void copy_gdt(HostTables& tables, const arch::ProcessorState& host_system);

/// Goes back to the host system's tables, selectors, bases, DR7 and IA32_DEBUGCTL. There is no
/// moment in between in which an NMI would find tables that do not fit each other.
///
/// Where    `tables` are in use: after the last VM exit. Interrupts off.
void restore_after_own_tables(const HostTables& tables, const arch::ProcessorState& host_system);

}  // namespace hvp::vmx
