// ept-identity: a guest that has all of memory, where it is, and yet not all as it is.
//
// The EPT maps every physical address to itself, devices included, with the memory types that the
// MTRRs say, in pages as large as that allows. So the guest may use whatever Windows uses, and runs
// with interrupts on: they are Windows', and its handlers run in the guest.
//
// On this ground the VMM lays views, which differ in a few pages. A function's page shows its own
// bytes to who reads it and runs another function. The VMM's own memory is a page of zeroes. A
// large page is cut in 512 to see which of them the guest touches, and made whole again. And when
// the guest changes how a range is cached, the EPT follows.
//
// The code below is in the order in which it runs. hypervisor/ept has the tables and the views.
#include <array>
#include <expected>

#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/exits/msr.hpp"
#include "hypervisor/exits/single_step.hpp"
#include "hypervisor/vcpu/ept_setup.hpp"
#include "hypervisor/vcpu/host_environment.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmx/capabilities.hpp"
#include "hypervisor/vmx/vmx_operation.hpp"
#include "platform/windows/exit_events.hpp"
#include "platform/windows/irql.hpp"
#include "platform/windows/kernel_mode.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/processors.hpp"
#include "platform/windows/status.hpp"
#include "platform/windows/trace.hpp"
#include "platform/windows/vmm_memory.hpp"
#include "stages/ept-identity/guest.hpp"
#include "stages/ept-identity/journal.hpp"
#include "stages/ept-identity/machine.hpp"
#include "stages/ept-identity/memory.hpp"

namespace {

using namespace hvp;
using identity_stage::Machine;
using identity_stage::StageMemory;
using vmx::Failure;
using vmx::FailureKind;

template <typename T>
using Expected = std::expected<T, Failure>;

/// What there is before VMX operation begins.
struct Setting {
    const windows::TraceProvider& provider;
    const vmx::VmxCapabilities& capabilities;
    const ept::Limits& limits;
    const StageMemory& memory;
    windows::VmmMemory& vmm;
    std::uint32_t processor;
};

Expected<void> run_stage(const windows::AtPassiveLevel& passive,
                         const windows::TraceProvider& provider, DRIVER_OBJECT& driver,
                         std::uint32_t processor);
Expected<void> build_machine(const Setting& setting, const arch::MtrrSnapshot& mtrrs);
std::array<arch::MappedRange, 3> hidden_ranges(const Setting& setting);
void prepare_guest(const Setting& setting, const arch::MtrrSnapshot& mtrrs);
Expected<void> enter(const Setting& setting, identity_stage::Times& times,
                     identity_stage::Features& features);
Expected<void> launch(const Setting& setting, const arch::ProcessorState& windows,
                      identity_stage::Times& times, identity_stage::Features& features);
std::unexpected<Failure> no_tables(ept::EditError error);
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
    const Expected<void> outcome =
        run_stage(passive, provider, *driver, static_cast<std::uint32_t>(pinned.index()));
    if (!outcome) {
        windows::trace_failure(provider, outcome.error());
        return windows::status_of(outcome.error().kind);
    }
    return STATUS_SUCCESS;
}

namespace {

Expected<void> run_stage(const windows::AtPassiveLevel& passive,
                         const windows::TraceProvider& provider, DRIVER_OBJECT& driver,
                         std::uint32_t processor) {
    const Expected<vmx::VmxCapabilities> capabilities = vmx::probe_vmx();
    if (!capabilities) {
        return std::unexpected{capabilities.error()};
    }
    const Expected<ept::Limits> limits = vmx::check_ept_support();
    if (!limits) {
        return std::unexpected{limits.error()};
    }
    identity_stage::Times times{.supported_at = arch::rdtsc()};
    windows::trace_supported(provider, capabilities->basic, times.supported_at);

    // The MTRRs decide how large the pages can be, and so how many tables there will be.
    const arch::MtrrSnapshot mtrrs = arch::read_mtrrs();
    const auto tables = ept::identity_table_count(mtrrs, *limits);
    if (!tables) {
        return no_tables(ept::EditError::no_table_left);
    }
    const Expected<StageMemory> memory = StageMemory::take(passive, *tables);
    if (!memory) {
        return std::unexpected{memory.error()};
    }
    const arch::MappedRange for_the_vmm = memory->vmm_range();
    Expected<windows::VmmMemory> vmm = windows::VmmMemory::take(
        passive, *capabilities, driver, vmx::traced_exits(), {&for_the_vmm, 1});
    if (!vmm) {
        return std::unexpected{vmm.error()};
    }
    const Setting setting{.provider = provider,
                          .capabilities = *capabilities,
                          .limits = *limits,
                          .memory = *memory,
                          .vmm = *vmm,
                          .processor = processor};
    if (const auto built = build_machine(setting, mtrrs); !built) {
        return built;
    }
    std::size_t hidden = 0;
    for (const arch::MappedRange& range : hidden_ranges(setting)) {
        hidden += range.pages;
    }
    tell_identity(provider, *limits, mtrrs, *tables, memory->vmm(), hidden);
    prepare_guest(setting, mtrrs);

    identity_stage::Features features;
    {
        // Interrupts are on in the guest, and their handlers run there; another thread must not.
        const windows::AtDispatchLevel dispatch;
        if (const auto entered = enter(setting, times, features); !entered) {
            return entered;
        }
    }
    vmx::VirtualProcessor& virtual_processor = vmm->processor().processor;
    tell_run(provider, times, features, *memory, virtual_processor);
    if (prove(provider, features, *memory, virtual_processor)) {
        return {};
    }
    static constexpr vmx::Explanation why{
        .step = "the guest's memory",
        .rule = {"3C", "28.2.1", "EPT Overview"},
        .remedy = "the guest saw or did what it must not: the last events tell which",
    };
    return std::unexpected{Failure{.kind = FailureKind::unexpected, .why = &why}};
}

std::unexpected<Failure> no_tables(ept::EditError error) {
    static constexpr vmx::Explanation why{
        .step = "the EPT",
        .rule = {"3C", "28.2.2", "EPT Translation Mechanism"},
        .remedy = "the MTRRs cut memory into more pieces than expected: raise spare_tables",
    };
    return std::unexpected{Failure{
        .kind = FailureKind::unexpected, .why = &why, .number = static_cast<std::uint32_t>(error)}};
}

// ---- The views ----------------------------------------------------------------------------------

Expected<void> build_machine(const Setting& setting, const arch::MtrrSnapshot& mtrrs) {
    identity_stage::VmmPages& pages = setting.memory.vmm();
    const auto window = setting.vmm.open_window();
    if (!window) {
        return std::unexpected{window.error()};
    }
    const auto physical_page = [](const void* address) {
        const auto physical = MmGetPhysicalAddress(const_cast<void*>(address)).QuadPart;
        return static_cast<std::uint64_t>(physical) & ~(arch::page_bytes - 1);
    };
    // A range far from everything, and below what every processor has.
    constexpr std::uint64_t gb_32 = 1ULL << 35;
    const identity_stage::Places places{
        .target = arch::GuestPhysicalAddress{physical_page(
            std::bit_cast<void*>(&identity_stage::target))},
        .other = arch::HostPhysicalAddress{physical_page(identity_stage::code_face.data())},
        .watched = arch::GuestPhysicalAddress{physical_page(setting.memory.watched())},
        .frames = setting.memory.physical_of(&pages.frames),
        .mtrr_range = arch::GuestPhysicalAddress{gb_32}};
    pages.machine.emplace(setting.memory.tables(), setting.memory.identity_tables(), setting.limits,
                          places);
    const auto built = pages.machine->build(mtrrs, hidden_ranges(setting),
                                            setting.memory.physical_of(&pages.decoy));
    if (!built) {
        return no_tables(built.error());
    }
    pages.machine->begin(pages.frames, pages.write_log, *window);
    return {};
}

/// All that is the VMM's, but for its code: that lies in the driver's image, with the guest's.
std::array<arch::MappedRange, 3> hidden_ranges(const Setting& setting) {
    const auto vmm = setting.vmm.own_ranges();
    return {setting.memory.vmm_range(), vmm[0], vmm[1]};
}

void prepare_guest(const Setting& setting, const arch::MtrrSnapshot& mtrrs) {
    identity_stage::GuestData& guest = setting.memory.guest();
    // [Windows: KeQueryTickCount] reads it there, too.
    constexpr std::uint64_t tick_count = 0xFFFF'F780'0000'0320;
    guest.clock = reinterpret_cast<const volatile std::uint32_t*>(tick_count);
    guest.target = identity_stage::target;
    guest.target_page = std::bit_cast<volatile std::uint64_t*>(&identity_stage::target);
    guest.self_reader = std::bit_cast<std::uint64_t (*)()>(
        std::bit_cast<std::uint64_t>(&identity_stage::target) + identity_stage::self_reader_offset);
    guest.watched = reinterpret_cast<volatile std::uint64_t*>(setting.memory.watched());
    const arch::MappedRange stage = setting.memory.vmm_range();
    guest.hidden = reinterpret_cast<const volatile std::uint64_t*>(stage.linear.raw());
    guest.hidden_words = sizeof(identity_stage::VmmPages) / sizeof(std::uint64_t);

    // 64 KBytes, write-combining.
    constexpr std::uint64_t gb_32 = 1ULL << 35;
    constexpr std::uint64_t kb_64 = 1ULL << 16;
    constexpr std::uint64_t valid = 1U << 11;
    constexpr std::uint32_t first_variable = 0x200;
    guest.mtrr =
        first_variable + 2 * (static_cast<std::uint32_t>(mtrrs.capabilities.variable_count) - 1);
    guest.mtrr_base = gb_32 | std::to_underlying(arch::MemoryType::write_combining);
    guest.mtrr_mask = (ept::identity_end(setting.limits) - kb_64) | valid;
}

// ---- The guest, from VMXON to VMXOFF ------------------------------------------------------------

Expected<void> enter(const Setting& setting, identity_stage::Times& times,
                     identity_stage::Features& features) {
    const vmx::ProcessorRegion& region = setting.vmm.region();
    vmx::ProcessorMemory& vmm = setting.vmm.processor();

    const arch::ProcessorState windows = arch::ProcessorState::capture();
    const arch::InterruptsOff interrupts_off;
    const vmx::HostStateGuard tables_left{vmm, windows};
    arch::write_cr0(arch::read_cr0() | setting.capabilities.cr0_ones);
    arch::write_cr4(arch::read_cr4() | setting.capabilities.cr4_ones);
    times.vmxon_at = arch::rdtsc();
    const auto operation = vmx::VmxOperation::enter(region.physical_of(&vmm.vmxon));
    if (!operation) {
        return std::unexpected{operation.error()};
    }
    {
        const auto vmcs = vmx::LoadedVmcs::load(region.physical_of(&vmm.vmcs));
        if (!vmcs) {
            return std::unexpected{vmcs.error()};
        }
        times.probe_at = arch::rdtsc();
        const auto chosen =
            vmx::choose_step(region, windows, setting.vmm.guest_stack_end(), setting.vmm.cr3());
        if (!chosen) {
            return chosen;
        }
        features.step_by = vmm.processor.step.by;
    }
    const auto vmcs = vmx::LoadedVmcs::load(region.physical_of(&vmm.vmcs));
    if (!vmcs) {
        return std::unexpected{vmcs.error()};
    }
    return launch(setting, windows, times, features);
}  // VMCLEAR, VMXOFF, Windows' tables, CR0 and CR4 as they were, interrupts on

Expected<void> launch(const Setting& setting, const arch::ProcessorState& windows,
                      identity_stage::Times& times, identity_stage::Features& features) {
    const vmx::GuestStart guest{.code = identity_stage::explore,
                                .argument = &setting.memory.guest(),
                                .stack_end = setting.vmm.guest_stack_end()};
    if (const auto written = write_vmcs(setting.vmm.region(), windows, guest, setting.vmm.cr3());
        !written) {
        return written;
    }
    Machine& machine = *setting.memory.vmm().machine;
    if (const auto enabled = vmx::enable_ept(machine.pointer()); !enabled) {
        return enabled;
    }
    vmx::VirtualProcessor& processor = setting.vmm.processor().processor;
    const auto vpid = vmx::enable_vpid(processor, setting.limits.capability,
                                       static_cast<std::uint16_t>(setting.processor + 1));
    if (!vpid) {
        return std::unexpected{vpid.error()};
    }
    features.vpid = *vpid;
    if (setting.limits.capability.accessed_and_dirty != 0) {
        const auto log = vmx::enable_page_modification_log(
            setting.memory.physical_of(&setting.memory.vmm().write_log));
        if (!log) {
            return std::unexpected{log.error()};
        }
        features.write_log = *log;
    }
    // Somebody may have had an EPT in these pages before.
    // [SDM 3C 28.3.3.4 "Guidelines for Use of the INVEPT Instruction"]
    if (!machine.flush_all()) {
        static constexpr vmx::Explanation why{
            .step = "INVEPT",
            .rule = {"3C", "28.3.3.4", "Guidelines for Use of the INVEPT Instruction"},
            .remedy = "the processor refuses the type or the EPT pointer in the descriptor",
        };
        return std::unexpected{Failure{.kind = FailureKind::instruction_failed, .why = &why}};
    }
    vmx::set_exit_path(setting.vmm.processor(),
                       identity_stage::exit_path(machine, features.step_by, features.write_log));
    times.vm_entry_at = arch::rdtsc();
    vmx::run(setting.vmm.region());
    times.left_at = arch::rdtsc();
    return {};
}

}  // namespace
