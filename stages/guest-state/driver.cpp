// guest-state: a guest that survives its exits, on a VMM with a world of its own.
//
// `launch` let go of the guest at its first exit. Here the exit is handled and the guest goes on
// with every register as it was, and it does not notice. While the VMM runs, nothing of Windows is
// in use: it has page tables, GDT, IDT, TSS and stacks of its own, so that it depends on nothing
// that the guest could change. Every exit is noted in a ring, and told afterwards.
//
// The code below is in the order in which it runs. What a VMCS field means, the chapter of `launch`
// has told; here they are written by the library, in hypervisor/vmx/virtual_processor.cpp.
#include <cstddef>
#include <cstdint>
#include <expected>
#include <new>
#include <optional>
#include <span>
#include <utility>

#include "hypervisor/arch/address_space.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/vmx/host_environment.hpp"
#include "hypervisor/vmx/operation.hpp"
#include "hypervisor/vmx/support.hpp"
#include "hypervisor/vmx/virtual_processor.hpp"
#include "platform/windows/image.hpp"
#include "platform/windows/irql.hpp"
#include "platform/windows/memory.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/processors.hpp"
#include "platform/windows/status.hpp"
#include "platform/windows/trace.hpp"
#include "stages/guest-state/guest.hpp"
#include "stages/guest-state/journal.hpp"

namespace {

using namespace hvp;
using guest_state::Conversation;
using guest_state::Journal;
using vmx::Failure;
using vmx::FailureKind;

template <typename T>
using Expected = std::expected<T, Failure>;

/// Room for the page tables of the VMM: four levels for the image and for the processor's memory.
constexpr std::size_t table_pages = 16;
constexpr std::size_t guest_stack_pages = KERNEL_STACK_SIZE / arch::page_bytes;
constexpr std::size_t journal_pages = sizeof(Journal) / arch::page_bytes + 1;

/// The memory of the stage. All of it is taken before VMX operation begins; while the VMM runs,
/// nothing can be taken.
struct Regions {
    windows::PageRun processor;
    windows::PageRun page_tables;
    windows::PageRun guest_stack;
    windows::PageRun journal;
};

Expected<Regions> take_memory(const windows::AtPassiveLevel& passive, const vmx::VmxBasic& basic);
Expected<arch::AddressSpace> build_own_page_tables(const Regions& regions,
                                                   const vmx::ProcessorRegion& processor,
                                                   const DRIVER_OBJECT& driver);
Expected<void> run_guest(const windows::TraceProvider& provider, const vmx::Support& support,
                         const Regions& regions, const DRIVER_OBJECT& driver);
Expected<void> judge(const vmx::Ending& ending, const guest_state::Proof& proof);
void on_unload(PDRIVER_OBJECT) {}

}  // namespace

// ---- The life of the driver -------------------------------------------------------------------

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    const auto passive = windows::AtPassiveLevel::in_driver_entry();
    const windows::TraceProvider provider{passive};
    const windows::PinnedToProcessor pinned;

    const auto fail = [&](const Failure& failure) {
        windows::trace_failure(provider, failure);
        return windows::status_of(failure.kind);
    };
    const Expected<vmx::Support> support = vmx::check_support();
    if (!support) {
        return fail(support.error());
    }
    const Expected<Regions> regions = take_memory(passive, support->basic);
    if (!regions) {
        return fail(regions.error());
    }
    const Expected<void> outcome = run_guest(provider, *support, *regions, *driver);
    if (!outcome) {
        return fail(outcome.error());
    }
    return STATUS_SUCCESS;
}

namespace {

Expected<void> run_guest(const windows::TraceProvider& provider, const vmx::Support& support,
                         const Regions& regions, const DRIVER_OBJECT& driver) {
    auto* const memory = new (regions.processor.start()) vmx::ProcessorMemory{};
    const vmx::ProcessorRegion processor{.memory = memory,
                                         .physical = regions.processor.physical()};
    vmx::prepare(processor, support);
    memory->processor.tracing = true;

    auto* const journal = new (regions.journal.start()) Journal{};
    journal->basic = support.basic;
    journal->supported_at = arch::rdtsc();
    journal->conversation.seed = journal->supported_at;
    journal->conversation.steps = guest_state::plan();

    const Expected<arch::AddressSpace> own = build_own_page_tables(regions, processor, driver);
    if (!own) {
        return std::unexpected{own.error()};
    }
    const arch::ProcessorState windows = arch::ProcessorState::capture();
    Expected<void> outcome{};
    {
        const arch::InterruptsOff interrupts_off;
        arch::write_cr0(arch::read_cr0() | support.cr0_ones);
        arch::write_cr4(arch::read_cr4() | support.cr4_ones);
        journal->vmxon_at = arch::rdtsc();
        outcome = [&] -> Expected<void> {
            const auto operation = vmx::Operation::enter(processor.physical_of(&memory->vmxon));
            if (!operation) {
                return std::unexpected{operation.error()};
            }
            const auto vmcs = vmx::LoadedVmcs::load(processor.physical_of(&memory->vmcs));
            if (!vmcs) {
                return std::unexpected{vmcs.error()};
            }
            const vmx::GuestStart guest{.code = guest_state::guest_main,
                                        .argument = &journal->conversation,
                                        .stack_end = regions.guest_stack.end()};
            const auto written = vmx::write_vmcs(processor, windows, guest, own->cr3());
            if (!written) {
                return written;
            }
            journal->vm_entry_at = arch::rdtsc();
            vmx::run(processor);
            journal->left_at = arch::rdtsc();
            return {};
        }();  // VMCLEAR, VMXOFF
        if (journal->left_at != 0) {
            vmx::restore_after_own_tables(memory->tables, windows);
        }
        windows.restore_cr0_cr4();
    }  // interrupts on
    if (!outcome) {
        return outcome;
    }
    const guest_state::Proof proof = guest_state::tell(provider, *journal, memory->processor);
    return judge(memory->processor.ending, proof);
}

// ---- Memory -----------------------------------------------------------------------------------

Expected<Regions> take_memory(const windows::AtPassiveLevel& passive, const vmx::VmxBasic& basic) {
    // [SDM 3D A.1 "Basic VMX Information"]: some processors take 32-bit addresses only.
    const arch::HostPhysicalAddress highest{
        basic.addresses_are_32_bits != 0 ? 0xFFFF'FFFF : 0x7FFF'FFFF'FFFF'FFFF};
    auto processor = windows::PageRun::allocate(passive, vmx::processor_memory_pages, highest);
    auto page_tables = windows::PageRun::allocate(passive, table_pages, highest);
    auto guest_stack = windows::PageRun::allocate(passive, guest_stack_pages, highest);
    auto journal = windows::PageRun::allocate(passive, journal_pages, highest);
    if (!processor || !page_tables || !guest_stack || !journal) {
        static constexpr vmx::Explanation why{
            .step = "memory",
            .rule = {"3C", "24.11.5", "VMXON Region"},
            .remedy = "Windows has no contiguous pages left: start the driver soon after boot",
        };
        return std::unexpected{Failure{.kind = FailureKind::out_of_memory, .why = &why}};
    }
    return Regions{.processor = std::move(*processor),
                   .page_tables = std::move(*page_tables),
                   .guest_stack = std::move(*guest_stack),
                   .journal = std::move(*journal)};
}

/// The VMM's page tables: its code and data, its stacks and tables, and nothing else. A wrong
/// pointer in the VMM is a page fault, and not a silent change somewhere in Windows.
Expected<arch::AddressSpace> build_own_page_tables(const Regions& regions,
                                                   const vmx::ProcessorRegion& processor,
                                                   const DRIVER_OBJECT& driver) {
    const std::span tables{reinterpret_cast<arch::PageTable*>(regions.page_tables.start()),
                           table_pages};
    arch::AddressSpace own{tables, regions.page_tables.physical()};
    auto mapped = windows::map_own_image(own, driver);
    if (mapped) {
        mapped = vmx::map(own, processor);
    }
    if (!mapped) {
        static constexpr vmx::Explanation why{
            .step = "the VMM's page tables",
            .rule = {"3A", "4.5", "4-Level Paging and 5-Level Paging"},
            .remedy = "the driver is larger than its reserve of table pages: raise table_pages",
        };
        return std::unexpected{Failure{.kind = FailureKind::unexpected, .why = &why}};
    }
    return own;
}

// ---- What came of it --------------------------------------------------------------------------

Expected<void> judge(const vmx::Ending& ending, const guest_state::Proof& proof) {
    if (ending.end == vmx::End::stopped_by_guest) {
        if (proof == guest_state::perfect) {
            return {};
        }
        static constexpr vmx::Explanation why{
            .step = "the guest's registers",
            .rule = {"3C", "31.7", "Handling of VM Exits"},
            .remedy = "an exit has changed a register: the event RegistersProof counts them",
        };
        return std::unexpected{Failure{.kind = FailureKind::unexpected, .why = &why}};
    }
    static constexpr vmx::Explanation why{
        .step = "the guest",
        .rule = {"3C", "31.7", "Handling of VM Exits"},
        .remedy = "the event GuestEnded says why the VMM left it",
    };
    return std::unexpected{Failure{.kind = FailureKind::unexpected,
                                   .result = ending.result,
                                   .error_number = ending.error_number,
                                   .why = &why,
                                   .number = ending.reason.basic_reason}};
}

}  // namespace
