// Prepares a virtual processor, describes it to the processor, runs it.
#include "hypervisor/vcpu/virtual_processor.hpp"

#include <array>
#include <new>

#include "hypervisor/arch/cpuid.hpp"
#include "hypervisor/vcpu/departure.hpp"
#include "hypervisor/vcpu/entry.hpp"
#include "hypervisor/vcpu/host_traps.hpp"
#include "hypervisor/vcpu/setup/guest_segments.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"
#include "hypervisor/vmx/adjusted_controls.hpp"
#include "hypervisor/vmx/guest_instructions.hpp"
#include "hypervisor/vmx/vmx_operation.hpp"

namespace hvp::vmx {
namespace {

template <typename T>
using Expected = std::expected<T, Failure>;

void write_revision_identifier(arch::Page& region, const VmxBasic& basic) {
    *reinterpret_cast<std::uint32_t*>(region.bytes.data()) =
        static_cast<std::uint32_t>(basic.revision_identifier);
}

/// [SDM 3C 24.4.1 "Guest Register State"], [SDM 3C 24.4.2 "Guest Non-Register State"]
void write_guest_state(CurrentVmcs& vmcs, const arch::ProcessorState& host_system,
                       const Segments& segments, const GuestStart& guest) {
    vmcs.write(guest_cr0, arch::read_cr0());
    vmcs.write(guest_cr3, host_system.cr3);
    vmcs.write(guest_cr4, arch::read_cr4());
    vmcs.write(guest_dr7, arch::Flags<arch::Dr7>{host_system.dr7});
    // As if the guest's function had been called: home space, and a return address that is 0.
    constexpr std::uint64_t first_frame_bytes = 40;
    vmcs.write(guest_rsp, arch::GuestLinearAddress{reinterpret_cast<std::uint64_t>(
                              guest.stack_end - first_frame_bytes)});
    vmcs.write(guest_rip, arch::GuestLinearAddress{reinterpret_cast<std::uint64_t>(guest.code)});
    vmcs.write(guest_rflags, arch::Rflags::always_one);
    for (std::uint32_t i = 0; i < segments.size(); ++i) {
        const auto at = static_cast<SegmentIndex>(i);
        vmcs.write(guest_es_selector, at, segments[i].selector);
        vmcs.write(guest_es_base, at, segments[i].base);
        vmcs.write(guest_es_limit, at, segments[i].limit);
        vmcs.write(guest_es_rights, at, segments[i].rights);
    }
    vmcs.write(guest_gdtr_base, host_system.gdtr.base);
    vmcs.write(guest_gdtr_limit, arch::SegmentLimit{host_system.gdtr.limit_bytes});
    vmcs.write(guest_idtr_base, host_system.idtr.base);
    vmcs.write(guest_idtr_limit, arch::SegmentLimit{host_system.idtr.limit_bytes});
    vmcs.write(guest_debugctl, arch::Flags<arch::DebugControl>{host_system.debugctl});
    vmcs.write(guest_sysenter_cs, host_system.sysenter_cs);
    vmcs.write(guest_sysenter_esp, host_system.sysenter_esp);
    vmcs.write(guest_sysenter_eip, host_system.sysenter_eip);
    vmcs.write(guest_activity_state, ActivityState::active);
    vmcs.write(guest_interruptibility_state, {});
    vmcs.write(guest_pending_debug_exceptions, {});
    vmcs.write(guest_vmcs_link_pointer, ~0ULL);
}

/// The host system's, and OSXSAVE where there is XSAVE: the guest may set it later, and then has us
/// execute XSETBV.  [SDM 3A 2.5 "Control Registers"]
///
/// Without CET: IA32_S_CET stays the guest's at an exit, and with what it can ask for the VMM's
/// code, which has no ENDBR and changes stacks, would be #CP at its first jump.
arch::Flags<arch::Cr4> host_cr4_value() {
    const auto ours = arch::read_cr4().without(arch::Cr4::control_flow_enforcement);
    const bool has_xsave = (arch::cpuid(1).ecx & arch::cpuid_1_ecx_xsave) != 0;
    return has_xsave ? ours | arch::Cr4::os_xsave : ours;
}

/// [SDM 3C 24.5 "Host-State Area"]
void write_host_state(CurrentVmcs& vmcs, const arch::ProcessorState& host_system,
                      const HostSelectors& selectors, ProcessorMemory& memory,
                      std::uint64_t host_cr3_value) {
    vmcs.write(host_cr0, arch::read_cr0());
    vmcs.write(host_cr3, host_cr3_value);
    vmcs.write(host_cr4, host_cr4_value());
    vmcs.write(host_rsp, arch::linear_address_of(memory.frame()));
    vmcs.write(host_rip,
               arch::HostLinearAddress{reinterpret_cast<std::uint64_t>(&hvp_exit_to_vmm)});
    vmcs.write(host_cs_selector, selectors.code);
    vmcs.write(host_ss_selector, selectors.data);
    // Null is allowed for these, and nothing uses them in 64-bit mode.
    // [SDM 3C 26.2.3 "Checks on Host Segment and Descriptor-Table Registers"]
    vmcs.write(host_ds_selector, {});
    vmcs.write(host_es_selector, {});
    vmcs.write(host_fs_selector, {});
    vmcs.write(host_gs_selector, {});
    vmcs.write(host_tr_selector, selectors.task);
    // The host system's bases stay: we do not use them, and so GS is right in every moment of the
    // way out.
    vmcs.write(host_fs_base, host_system.fs_base);
    vmcs.write(host_gs_base, host_system.gs_base);
    vmcs.write(host_tr_base, reinterpret_cast<std::uint64_t>(&memory.tables.task));
    vmcs.write(host_gdtr_base, reinterpret_cast<std::uint64_t>(&memory.tables.gdt));
    vmcs.write(host_idtr_base, reinterpret_cast<std::uint64_t>(&memory.tables.idt));
    vmcs.write(host_sysenter_cs, host_system.sysenter_cs);
    vmcs.write(host_sysenter_esp, host_system.sysenter_esp);
    vmcs.write(host_sysenter_eip, host_system.sysenter_eip);
}

/// When the guest stops.  [SDM 3C 24.6 "VM-Execution Control Fields"]
void write_execution_controls(CurrentVmcs& vmcs, const ProcessorRegion& region,
                              const arch::ProcessorState& host_system) {
    // Interrupts go to the guest as if there were no VMM. NMIs come to us, as a VMM that does not
    // see the ones of its guest could not keep the ones that come to itself.
    write_controls(vmcs, pin_based_controls, PinControl::nmi_exiting | PinControl::virtual_nmis);
    write_controls(vmcs, primary_processor_based_controls,
                   PrimaryControl::hlt_exiting | PrimaryControl::cr3_load_exiting |
                       PrimaryControl::cr3_store_exiting | PrimaryControl::use_msr_bitmaps);
    give_instructions(vmcs);
    VirtualProcessor& processor = region.memory->processor;
    processor.unrestricted = false;
    vmcs.write(msr_bitmap_address, region.physical_of(&region.memory->msr_bitmap));
    vmcs.write(exception_bitmap, 0);
    vmcs.write(page_fault_error_code_mask, 0);
    vmcs.write(page_fault_error_code_match, 0);
    vmcs.write(tsc_offset, 0);
    vmcs.write(cr0_guest_host_mask, processor.cr0_ones);
    vmcs.write(cr0_read_shadow, host_system.cr0);
    vmcs.write(cr4_guest_host_mask, processor.cr4_ones);
    vmcs.write(cr4_read_shadow, host_system.cr4);
    vmcs.write(cr3_target_count, 0);
}

/// How the switches between guest and VMM are made.
/// [SDM 3C 24.7 "VM-Exit Control Fields"], [SDM 3C 24.8 "VM-Entry Control Fields"]
void write_switch_controls(CurrentVmcs& vmcs, const ProcessorRegion& region) {
    write_controls(vmcs, exit_controls,
                   ExitControl::host_address_space_size | ExitControl::save_debug_controls);
    write_controls(vmcs, entry_controls,
                   EntryControl::ia32e_mode_guest | EntryControl::load_debug_controls);
    VirtualProcessor& processor = region.memory->processor;
    switch_counters(vmcs, processor.counters, region.physical_of(&processor.counters),
                    !processor.own_tables);
    vmcs.write(entry_interruption_information, {});
    vmcs.write(entry_exception_error_code, 0);
    vmcs.write(entry_instruction_length, 0);
}

}  // namespace

void prepare(const ProcessorRegion& region, const VmxCapabilities& capabilities,
             const ExitPath& path) {
    ProcessorMemory& memory = *region.memory;
    write_revision_identifier(memory.vmxon, capabilities.basic);
    write_revision_identifier(memory.vmcs, capabilities.basic);
    for (TrapStack* const stack :
         {&memory.stacks.exception, &memory.stacks.machine_check, &memory.stacks.nmi}) {
        stack->on_trap = handle_host_trap;
        stack->owner = &memory.processor;
    }
    VmmFrame& frame = *new (memory.frame()) VmmFrame{};
    frame.owner = &memory.processor;
    VirtualProcessor& processor = memory.processor;
    processor.frame = &frame;
    processor.ring = &memory.ring;
    processor.tables = &memory.tables;
    processor.cr0_ones = capabilities.cr0_ones;
    processor.cr4_ones = capabilities.cr4_ones;
    processor.any_error_code = capabilities.basic.any_error_code != 0;
    processor.physical_address_bits = arch::physical_address_bits();
    set_exit_path(memory, path);
}

void set_exit_path(ProcessorMemory& memory, const ExitPath& path) {
    VmmFrame& frame = *memory.frame();
    frame.on_exit = path.on_exit;
    frame.on_failed_entry = path.on_failed_entry;
    frame.state = path.state;
    memory.processor.step.on_exit = path.on_exit;
    memory.processor.step.on_exit_of_step = path.on_exit_of_step;
    memory.msr_bitmap.bytes = {};
    fill_msr_bitmap(memory.msr_bitmap.bytes, path.msrs);
}

std::expected<void, arch::MapError> map(arch::AddressSpace& space, const ProcessorRegion& region) {
    const ProcessorMemory& memory = *region.memory;
    struct Part {
        const void* start;
        std::size_t bytes;
    };
    // Not the VMXON region and the VMCS: they are the processor's, which reads them by physical
    // address. Not the MSR bitmap, which does not change. Not the holes.
    const std::array parts{
        Part{&memory.tables, sizeof memory.tables},
        Part{&memory.stacks.exception, sizeof memory.stacks.exception},
        Part{&memory.stacks.machine_check, sizeof memory.stacks.machine_check},
        Part{&memory.stacks.nmi, sizeof memory.stacks.nmi},
        Part{&memory.stacks.main, sizeof memory.stacks.main},
        Part{&memory.processor, sizeof memory.processor},
        Part{&memory.ring, sizeof memory.ring},
    };
    for (const Part& part : parts) {
        const auto mapped = space.map({.linear = arch::linear_address_of(part.start),
                                       .physical = region.physical_of(part.start),
                                       .pages = arch::pages_for(part.bytes),
                                       .access = arch::Access::read_write});
        if (!mapped) {
            return mapped;
        }
    }
    return {};
}

Expected<void> write_vmcs(const ProcessorRegion& region, const arch::ProcessorState& host_system,
                          const GuestStart& guest, std::uint64_t host_cr3_value) {
    const auto segments = describe_segments(host_system);
    if (!segments) {
        return std::unexpected{segments.error()};
    }
    ProcessorMemory& memory = *region.memory;
    const auto selectors = fill(memory.tables, memory.stacks, host_system);
    if (!selectors) {
        return std::unexpected{selectors.error()};
    }
    memory.frame()->registers[Register::rcx] = reinterpret_cast<std::uint64_t>(guest.argument);

    CurrentVmcs vmcs;
    write_guest_state(vmcs, host_system, *segments, guest);
    write_host_state(vmcs, host_system, *selectors, memory, host_cr3_value);
    write_execution_controls(vmcs, region, host_system);
    write_switch_controls(vmcs, region);
    return written(vmcs);
}

void run(const ProcessorRegion& region) {
    VirtualProcessor& processor = region.memory->processor;
    processor.running = true;
    hvp_run_guest(processor.frame);
    processor.running = false;
    if (processor.departed) {
        return;  // and so not in VMX operation any more
    }
    const GuestStop& guest_stop = processor.guest_stop;
    const bool is_refused = guest_stop.why == StopReason::entry_refused &&
                            guest_stop.result == arch::VmxResult::fail_valid;
    if (is_refused || guest_stop.why == StopReason::entry_failed) {
        read_all_fields(processor.failed_fields);
    }
    keep_undelivered(processor);
    // Only where the very first entry was refused, there was no exit.
    processor.own_tables =
        arch::sgdt().base == reinterpret_cast<std::uint64_t>(&region.memory->tables.gdt);
}

namespace {

/// XGETBV and XSETBV need CR4.OSXSAVE.
/// [SDM 3A 2.6 "Extended Control Registers (Including XCR0)"]
bool has_xcr0(const arch::ProcessorState& host_system) {
    return host_system.cr4.has(arch::Cr4::os_xsave);
}

/// IA32_XSS exists with XSAVES.
/// [SDM 3A 13.7 "The XSAVE Feature Set and Processor Supervisor State Management"]
bool has_xss(const arch::ProcessorState& host_system) {
    constexpr std::uint32_t xsaves = 1U << 3;
    return has_xcr0(host_system) && (arch::cpuid(0xD, 1).eax & xsaves) != 0;
}

}  // namespace

HostStateGuard::HostStateGuard(ProcessorMemory& memory, const arch::ProcessorState& host_system)
    : memory_{memory},
      host_system_{host_system},
      xcr0_{has_xcr0(host_system) ? arch::read_xcr0() : 0},
      xss_{has_xss(host_system) ? arch::rdmsr(arch::Msr::xss) : 0} {}

HostStateGuard::~HostStateGuard() {
    if (memory_.processor.departed) {
        // The processor has what the guest had, and that may have changed. NMIs may have had to
        // wait.
        hand_over_nmis(memory_.processor);
        return;
    }
    if (memory_.processor.own_tables) {
        restore_after_own_tables(memory_.tables, host_system_);
        memory_.processor.counters.restore_to_host();
    }
    // Where a guest with a VPID has invalidated translations, ours, which have none, have stayed.
    // [SDM 3C 28.3.3.2 "Operations that Need Not Invalidate Cached Mappings"],
    // [SDM 3A 4.10.4.1 "Operations that Invalidate TLBs and Paging-Structure Caches"]
    arch::write_cr4(host_system_.cr4.without(arch::Cr4::page_global_enable));
    host_system_.restore_cr0_cr4();
    if (has_xcr0(host_system_) && arch::read_xcr0() != xcr0_) {
        arch::write_xcr0(xcr0_);
    }
    if (has_xss(host_system_) && arch::rdmsr(arch::Msr::xss) != xss_) {
        arch::wrmsr(arch::Msr::xss, xss_);
    }
    hand_over_interrupt(memory_.processor);
    hand_over_nmis(memory_.processor);
    hand_over_machine_check(memory_.processor);
}

}  // namespace hvp::vmx
