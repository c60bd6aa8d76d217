// ept: a guest that has only the memory that it is given, and whose memory is changed while it
// runs.
//
// With extended page tables (EPT) what the guest takes for a physical address is translated once
// more, by tables of the VMM. Three guests show what that means. The first begins with nothing:
// each page that it comes to use is an EPT violation, the pages of its own page tables too. For the
// second all of that has been found out before, and it runs without one; then a page that it
// executes is exchanged under it, and exchanged back; then the same page shows one content to who
// reads it and another to who executes it. The third reaches for a page that it was not given.
//
// The guests run with interrupts off. An interrupt would need Windows' handlers and all that they
// use, and that is nearly all of Windows. What an exception or an NMI needs to reach the first
// instruction of a handler is mapped: GDT, IDT, TSS. The handler is not, so the guest is stopped
// there, and the account names the place.
//
// The code below is in the order in which it runs. hypervisor/ept has the tables.
#include <expected>

#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/vcpu/ept_setup.hpp"
#include "hypervisor/vcpu/host_environment.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmx/capabilities.hpp"
#include "hypervisor/vmx/vmx_operation.hpp"
#include "platform/windows/irql.hpp"
#include "platform/windows/kernel_mode.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/processors.hpp"
#include "platform/windows/status.hpp"
#include "platform/windows/trace.hpp"
#include "platform/windows/vmm_memory.hpp"
#include "stages/ept/guest.hpp"
#include "stages/ept/journal.hpp"
#include "stages/ept/memory.hpp"
#include "stages/ept/views.hpp"

namespace {

using namespace hvp;
using ept_stage::Beginning;
using vmx::Failure;
using vmx::FailureKind;

template <typename T>
using Expected = std::expected<T, Failure>;

/// What all three guests have in common.
struct Setting {
    const windows::TraceProvider& provider;
    const vmx::VmxCapabilities& capabilities;
    const ept::Limits& limits;
    const windows::VmmMemory& vmm;
    ept_stage::Memory& memory;
    arch::ProcessorState windows;
    ept_stage::Functions functions;
    std::uint32_t processor;
};

Expected<ept_stage::Proof> run_guests(const Setting& setting);
Expected<void> run_guest(const Setting& setting, const char* name, Beginning beginning,
                         void (*code)(void*));
Expected<void> enter(const Setting& setting, void (*code)(void*), ept_stage::Times& times);
Expected<void> judge(const ept_stage::Proof& proof);
void on_unload(PDRIVER_OBJECT) {}

}  // namespace

// ---- The life of the driver -------------------------------------------------------------------

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    if (!windows::runs_in_a_kernel()) {
        return STATUS_NOT_SUPPORTED;
    }
    const auto passive = windows::AtPassiveLevel::in_driver_entry();
    const windows::TraceProvider provider{passive};
    const windows::PinnedToProcessor pinned;

    const Expected<void> outcome = [&] -> Expected<void> {
        const Expected<vmx::VmxCapabilities> capabilities = vmx::probe_vmx();
        if (!capabilities) {
            return std::unexpected{capabilities.error()};
        }
        const Expected<ept::Limits> limits = vmx::check_ept_support();
        if (!limits) {
            return std::unexpected{limits.error()};
        }
        ept_stage::tell_support(provider, capabilities->basic, *limits, arch::rdtsc());

        // All memory is taken before VMX operation begins, the pages of the EPT too.
        const Expected<ept_stage::StageMemory> memory = ept_stage::StageMemory::take(passive);
        if (!memory) {
            return std::unexpected{memory.error()};
        }
        const arch::MappedRange for_the_vmm = memory->range();
        const Expected<windows::VmmMemory> vmm = windows::VmmMemory::take(
            passive, *capabilities, *driver, vmx::traced_exits(), {&for_the_vmm, 1});
        if (!vmm) {
            return std::unexpected{vmm.error()};
        }
        const Setting setting{.provider = provider,
                              .capabilities = *capabilities,
                              .limits = *limits,
                              .vmm = *vmm,
                              .memory = **memory,
                              .windows = arch::ProcessorState::capture(),
                              .functions = {.target = ept_stage::page_of(ept_stage::target),
                                            .other = ept_stage::page_of(ept_stage::other)},
                              .processor = static_cast<std::uint32_t>(pinned.index())};
        const Expected<ept_stage::Proof> proof = run_guests(setting);
        return proof ? judge(*proof) : std::unexpected{proof.error()};
    }();  // the memory is given back
    if (!outcome) {
        windows::trace_failure(provider, outcome.error());
        return windows::status_of(outcome.error().kind);
    }
    return STATUS_SUCCESS;
}

namespace {

Expected<ept_stage::Proof> run_guests(const Setting& setting) {
    ept_stage::Memory& memory = setting.memory;
    const auto word_of = [](std::uint64_t (*function)()) {
        return reinterpret_cast<const volatile std::uint64_t*>(function);
    };
    memory.guest.target = ept_stage::target;
    memory.guest.target_page = word_of(ept_stage::target);
    memory.guest.outside = word_of(ept_stage::other);
    if (const auto found = find_needed(memory, setting.limits, setting.windows); !found) {
        return std::unexpected{found.error()};
    }
    tell_needed(setting.provider, memory);

    vmx::VirtualProcessor& processor = setting.vmm.processor().processor;
    ept_stage::Proof proof;
    if (const auto ran =
            run_guest(setting, "an empty EPT", Beginning::nothing, ept_stage::touch_everything);
        !ran) {
        return std::unexpected{ran.error()};
    }
    proof.touched_as_predicted = prove_touched(setting.provider, memory, processor.guest_stop);

    if (const auto ran = run_guest(setting, "the pages that it needs", Beginning::everything_needed,
                                   ept_stage::see_both);
        !ran) {
        return std::unexpected{ran.error()};
    }
    proof.views_seen = prove_views(setting.provider, memory, processor.guest_stop);

    if (const auto ran = run_guest(setting, "the same pages, and wants one more",
                                   Beginning::everything_needed, ept_stage::look_outside);
        !ran) {
        return std::unexpected{ran.error()};
    }
    proof.stopped_outside = prove_stopped(setting.provider, memory, processor.guest_stop);
    memory.views.reset();  // the tables go back to the pool
    return proof;
}

// ---- One guest, from its EPT to its end ---------------------------------------------------------

Expected<void> run_guest(const Setting& setting, const char* name, Beginning beginning,
                         void (*code)(void*)) {
    ept_stage::Memory& memory = setting.memory;
    memory.views.reset();
    auto views = ept_stage::Views::create(*memory.pool, setting.limits, memory.needed,
                                          setting.functions, setting.processor, beginning);
    if (!views) {
        static constexpr vmx::Explanation too_few_tables{
            .step = "the EPT",
            .rule = {"3C", "28.2.2", "EPT Translation Mechanism"},
            .remedy = "the guest's pages lie further apart than expected: raise table_pages",
        };
        static constexpr vmx::Explanation wrong_entry{
            .step = "the EPT",
            .rule = {"3C", "28.2.3.1", "EPT Misconfigurations"},
            .remedy = "the mapper does not write an entry that the processor would refuse",
        };
        const bool too_few = views.error() == ept::EditError::no_table_left;
        return std::unexpected{Failure{.kind = FailureKind::unexpected,
                                       .why = too_few ? &too_few_tables : &wrong_entry,
                                       .number = static_cast<std::uint32_t>(views.error())}};
    }
    memory.views.emplace(std::move(*views));
    tell_guest(setting.provider, name, memory);

    vmx::VirtualProcessor& processor = setting.vmm.processor().processor;
    processor.guest_stop = {};
    vmx::set_exit_path(setting.vmm.processor(), ept_stage::exit_path(*memory.views));
    ept_stage::Times times;
    if (const auto entered = enter(setting, code, times); !entered) {
        return entered;
    }
    tell_run(setting.provider, times, memory, processor);
    return {};
}

Expected<void> enter(const Setting& setting, void (*code)(void*), ept_stage::Times& times) {
    const vmx::ProcessorRegion& region = setting.vmm.region();
    vmx::ProcessorMemory& vmm = setting.vmm.processor();
    const vmx::GuestStart guest{.code = code,
                                .argument = &setting.memory.guest,
                                .stack_end = (&setting.memory.guest_stack + 1)->bytes.data()};

    const arch::InterruptsOff interrupts_off;
    const vmx::HostStateGuard tables_left{vmm, setting.windows};
    arch::write_cr0(arch::read_cr0() | setting.capabilities.cr0_ones);
    arch::write_cr4(arch::read_cr4() | setting.capabilities.cr4_ones);
    times.vmxon_at = arch::rdtsc();
    const auto operation = vmx::VmxOperation::enter(region.physical_of(&vmm.vmxon));
    if (!operation) {
        return std::unexpected{operation.error()};
    }
    const auto vmcs = vmx::LoadedVmcs::load(region.physical_of(&vmm.vmcs));
    if (!vmcs) {
        return std::unexpected{vmcs.error()};
    }
    if (const auto written = write_vmcs(region, setting.windows, guest, setting.vmm.cr3());
        !written) {
        return written;
    }
    if (const auto enabled = vmx::enable_ept(setting.memory.views->tables().pointer()); !enabled) {
        return enabled;
    }
    // The guest before had its EPT in the same pages, and the processor may remember parts of it.
    // [SDM 3C 28.3.3.4 "Guidelines for Use of the INVEPT Instruction"]
    if (!setting.memory.views->flush()) {
        static constexpr vmx::Explanation why{
            .step = "INVEPT",
            .rule = {"3C", "28.3.3.4", "Guidelines for Use of the INVEPT Instruction"},
            .remedy = "the processor refuses the type or the EPT pointer in the descriptor",
        };
        return std::unexpected{Failure{.kind = FailureKind::instruction_failed, .why = &why}};
    }
    times.vm_entry_at = arch::rdtsc();
    vmx::run(region);
    times.left_at = arch::rdtsc();
    return {};
}  // VMCLEAR, VMXOFF, Windows' tables, CR0 and CR4 as they were, interrupts on

// ---- What came of it --------------------------------------------------------------------------

Expected<void> judge(const ept_stage::Proof& proof) {
    if (proof.is_perfect()) {
        return {};
    }
    static constexpr vmx::Explanation why{
        .step = "the guests' memory",
        .rule = {"3C", "28.2.1", "EPT Overview"},
        .remedy = "a guest saw or did what it must not: the events that end in Proof tell which",
    };
    return std::unexpected{Failure{.kind = FailureKind::unexpected, .why = &why}};
}

}  // namespace
