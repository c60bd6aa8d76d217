// The fields of a VMCS: each knows its encoding, its width and what its value means.
//
// Double entry, as in book-keeping: an encoding is built from the parts that the SDM defines, and
// checked at the end of this file against the numbers that its appendix B prints.
// [SDM 3C 24.11.2 "VMREAD, VMWRITE, and Encodings of VMCS Fields"]
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/control_registers.hpp"
#include "hypervisor/arch/segments.hpp"
#include "hypervisor/ept/pointer.hpp"
#include "hypervisor/vmcs/controls.hpp"
#include "hypervisor/vmcs/event_information.hpp"
#include "hypervisor/vmcs/exit_reason.hpp"

namespace hvp::vmx {

enum class Width : std::uint32_t { bits16 = 0, bits64 = 1, bits32 = 2, natural = 3 };
enum class Area : std::uint32_t { control = 0, exit_information = 1, guest = 2, host = 3 };

template <Width width>
using RawOf =
    std::conditional_t<width == Width::bits16, std::uint16_t,
                       std::conditional_t<width == Width::bits32, std::uint32_t, std::uint64_t>>;

/// One VMCS field.  [SDM 3C 24.11.2 "VMREAD, VMWRITE, and Encodings of VMCS Fields"]
template <Width width, Area area, std::uint32_t index, typename T = RawOf<width>>
struct Field {
    using Value = T;
    using Raw = RawOf<width>;
    static_assert(sizeof(T) == sizeof(Raw), "a field's type is as wide as the field");
    static constexpr std::uint32_t encoding =
        std::to_underlying(width) << 13 | std::to_underlying(area) << 10 | index << 1;
};

// ---- Guest-state area: register state.  [SDM 3C 24.4.1 "Guest Register State"] ----------------
template <std::uint32_t index, typename T = std::uint64_t>
using GuestNatural = Field<Width::natural, Area::guest, index, T>;

inline constexpr GuestNatural<0, arch::Flags<arch::Cr0>> guest_cr0;
inline constexpr GuestNatural<1> guest_cr3;
inline constexpr GuestNatural<2, arch::Flags<arch::Cr4>> guest_cr4;
inline constexpr GuestNatural<13, arch::Flags<arch::Dr7>> guest_dr7;
inline constexpr GuestNatural<14, arch::GuestLinearAddress> guest_rsp;
inline constexpr GuestNatural<15, arch::GuestLinearAddress> guest_rip;
inline constexpr GuestNatural<16, arch::Flags<arch::Rflags>> guest_rflags;

/// Each guest segment register has four fields, in four rows that all have the same order: ES CS SS
/// DS FS GS LDTR TR. Here are the first ones of the rows, and `SegmentIndex` is the place in a row.
inline constexpr Field<Width::bits16, Area::guest, 0, arch::Selector> guest_es_selector;
inline constexpr Field<Width::bits32, Area::guest, 0, arch::SegmentLimit> guest_es_limit;
inline constexpr Field<Width::bits32, Area::guest, 10, arch::AccessRights> guest_es_rights;
inline constexpr GuestNatural<3> guest_es_base;
/// Two that are read by themselves: CS tells 64-bit from 32-bit code, SS the privilege level.
inline constexpr Field<Width::bits32, Area::guest, 11, arch::AccessRights> guest_cs_rights;
inline constexpr Field<Width::bits32, Area::guest, 12, arch::AccessRights> guest_ss_rights;

/// A segment register's place in each of the rows.
enum class SegmentIndex : std::uint32_t { es, cs, ss, ds, fs, gs, ldtr, tr };

inline constexpr GuestNatural<11> guest_gdtr_base;
inline constexpr GuestNatural<12> guest_idtr_base;
inline constexpr Field<Width::bits32, Area::guest, 8, arch::SegmentLimit> guest_gdtr_limit;
inline constexpr Field<Width::bits32, Area::guest, 9, arch::SegmentLimit> guest_idtr_limit;

inline constexpr Field<Width::bits64, Area::guest, 1, arch::Flags<arch::DebugControl>>
    guest_debugctl;
inline constexpr Field<Width::bits32, Area::guest, 21> guest_sysenter_cs;
inline constexpr GuestNatural<18> guest_sysenter_esp;
inline constexpr GuestNatural<19> guest_sysenter_eip;

// What only some processors have, for there is a control that loads or saves it.
inline constexpr Field<Width::bits64, Area::guest, 2> guest_pat;
inline constexpr Field<Width::bits64, Area::guest, 3, arch::Flags<arch::Efer>> guest_efer;
inline constexpr Field<Width::bits64, Area::guest, 4> guest_perf_global_ctrl;
inline constexpr Field<Width::bits64, Area::guest, 9> guest_bndcfgs;
inline constexpr Field<Width::bits64, Area::guest, 10> guest_rtit_ctl;
inline constexpr Field<Width::bits64, Area::guest, 12> guest_pkrs;
inline constexpr GuestNatural<20> guest_s_cet;
inline constexpr GuestNatural<21> guest_ssp;
inline constexpr GuestNatural<22> guest_interrupt_ssp_table;

// ---- Guest-state area: non-register state.  [SDM 3C 24.4.2 "Guest Non-Register State"] --------

/// What the guest's processor is doing.  [SDM 3C 24.4.2 "Guest Non-Register State"]
enum class ActivityState : std::uint32_t { active = 0, hlt = 1, shutdown = 2, wait_for_sipi = 3 };

/// What holds events back.  [SDM 3C 24.4.2 "Guest Non-Register State", Table 24-3]
enum class Interruptibility : std::uint32_t {
    blocking_by_sti = 1U << 0,
    blocking_by_mov_ss = 1U << 1,
    blocking_by_smi = 1U << 2,
    blocking_by_nmi = 1U << 3,
    enclave_interruption = 1U << 4,
};

/// What holds interrupts back until the end of the next instruction, and not longer.
inline constexpr auto until_next_instruction =
    Interruptibility::blocking_by_sti | Interruptibility::blocking_by_mov_ss;

/// Debug exceptions that wait.  [SDM 3C 24.4.2 "Guest Non-Register State", Table 24-4]
enum class PendingDebug : std::uint64_t {
    breakpoint_0 = 1ULL << 0,
    breakpoint_1 = 1ULL << 1,
    breakpoint_2 = 1ULL << 2,
    breakpoint_3 = 1ULL << 3,
    enabled_breakpoint = 1ULL << 12,
    single_step = 1ULL << 14,
    transactional_region = 1ULL << 16,
};

inline constexpr Field<Width::bits32, Area::guest, 19, ActivityState> guest_activity_state;
inline constexpr Field<Width::bits32, Area::guest, 18, arch::Flags<Interruptibility>>
    guest_interruptibility_state;
inline constexpr GuestNatural<17, arch::Flags<PendingDebug>> guest_pending_debug_exceptions;
inline constexpr Field<Width::bits64, Area::guest, 0> guest_vmcs_link_pointer;
inline constexpr Field<Width::bits16, Area::guest, 8> guest_interrupt_status;
/// The log is filled from its last entry down.  [SDM 3C 28.2.5 "Page-Modification Logging"]
inline constexpr Field<Width::bits16, Area::guest, 9> guest_pml_index;
inline constexpr std::uint16_t last_pml_index = 511;
inline constexpr Field<Width::bits32, Area::guest, 20> guest_smbase;
inline constexpr Field<Width::bits32, Area::guest, 23> guest_preemption_timer_value;
/// With PAE paging under EPT the four entries that CR3 refers to are fields of their own.
inline constexpr Field<Width::bits64, Area::guest, 5> guest_pdpte0;
inline constexpr Field<Width::bits64, Area::guest, 6> guest_pdpte1;
inline constexpr Field<Width::bits64, Area::guest, 7> guest_pdpte2;
inline constexpr Field<Width::bits64, Area::guest, 8> guest_pdpte3;

// ---- Host-state area.  [SDM 3C 24.5 "Host-State Area"] ----------------------------------------
template <std::uint32_t index>
using HostSelector = Field<Width::bits16, Area::host, index, arch::Selector>;
template <std::uint32_t index, typename T = std::uint64_t>
using HostNatural = Field<Width::natural, Area::host, index, T>;

inline constexpr HostNatural<0, arch::Flags<arch::Cr0>> host_cr0;
inline constexpr HostNatural<1> host_cr3;
inline constexpr HostNatural<2, arch::Flags<arch::Cr4>> host_cr4;
inline constexpr HostNatural<10, arch::HostLinearAddress> host_rsp;
inline constexpr HostNatural<11, arch::HostLinearAddress> host_rip;
inline constexpr HostSelector<0> host_es_selector;
inline constexpr HostSelector<1> host_cs_selector;
inline constexpr HostSelector<2> host_ss_selector;
inline constexpr HostSelector<3> host_ds_selector;
inline constexpr HostSelector<4> host_fs_selector;
inline constexpr HostSelector<5> host_gs_selector;
inline constexpr HostSelector<6> host_tr_selector;
inline constexpr HostNatural<3> host_fs_base;
inline constexpr HostNatural<4> host_gs_base;
inline constexpr HostNatural<5> host_tr_base;
inline constexpr HostNatural<6> host_gdtr_base;
inline constexpr HostNatural<7> host_idtr_base;
inline constexpr Field<Width::bits32, Area::host, 0> host_sysenter_cs;
inline constexpr HostNatural<8> host_sysenter_esp;
inline constexpr HostNatural<9> host_sysenter_eip;
inline constexpr Field<Width::bits64, Area::host, 0> host_pat;
inline constexpr Field<Width::bits64, Area::host, 1, arch::Flags<arch::Efer>> host_efer;
inline constexpr Field<Width::bits64, Area::host, 2> host_perf_global_ctrl;
inline constexpr Field<Width::bits64, Area::host, 3> host_pkrs;
inline constexpr HostNatural<12> host_s_cet;
inline constexpr HostNatural<13> host_ssp;
inline constexpr HostNatural<14> host_interrupt_ssp_table;

// ---- VM-execution control fields.  [SDM 3C 24.6 "VM-Execution Control Fields"] ----------------
template <std::uint32_t index>
using Control16 = Field<Width::bits16, Area::control, index>;
template <std::uint32_t index, typename T = std::uint32_t>
using Control32 = Field<Width::bits32, Area::control, index, T>;
template <std::uint32_t index, typename T = std::uint64_t>
using Control64 = Field<Width::bits64, Area::control, index, T>;
template <std::uint32_t index, typename T = std::uint64_t>
using ControlNatural = Field<Width::natural, Area::control, index, T>;

inline constexpr Control32<0, arch::Flags<PinControl>> pin_based_controls;
inline constexpr Control32<1, arch::Flags<PrimaryControl>> primary_processor_based_controls;
inline constexpr Control32<2> exception_bitmap;
inline constexpr Control32<3> page_fault_error_code_mask;
inline constexpr Control32<4> page_fault_error_code_match;
inline constexpr Control32<5> cr3_target_count;
inline constexpr Control32<15, arch::Flags<SecondaryControl>> secondary_processor_based_controls;
inline constexpr Control64<2, arch::HostPhysicalAddress> msr_bitmap_address;
inline constexpr Control64<7, arch::HostPhysicalAddress> pml_address;
inline constexpr Control64<8> tsc_offset;
inline constexpr Control64<13, ept::Pointer> ept_pointer;
inline constexpr ControlNatural<0, arch::Flags<arch::Cr0>> cr0_guest_host_mask;
inline constexpr ControlNatural<1, arch::Flags<arch::Cr4>> cr4_guest_host_mask;
inline constexpr ControlNatural<2, arch::Flags<arch::Cr0>> cr0_read_shadow;
inline constexpr ControlNatural<3, arch::Flags<arch::Cr4>> cr4_read_shadow;
inline constexpr ControlNatural<4> cr3_target_value_0;
inline constexpr ControlNatural<5> cr3_target_value_1;
inline constexpr ControlNatural<6> cr3_target_value_2;
inline constexpr ControlNatural<7> cr3_target_value_3;

inline constexpr Control16<0> virtual_processor_identifier;
inline constexpr Control16<1> posted_interrupt_vector;
inline constexpr Control16<2> eptp_index;
inline constexpr Control32<14> tpr_threshold;
inline constexpr Control32<16> pause_loop_gap;
inline constexpr Control32<17> pause_loop_window;
inline constexpr Control64<0> io_bitmap_a_address;
inline constexpr Control64<1> io_bitmap_b_address;
inline constexpr Control64<6> executive_vmcs_pointer;
inline constexpr Control64<9> virtual_apic_address;
inline constexpr Control64<10> apic_access_address;
inline constexpr Control64<11> posted_interrupt_descriptor_address;
inline constexpr Control64<12> vm_function_controls;
inline constexpr Control64<14> eoi_exit_bitmap_0;
inline constexpr Control64<15> eoi_exit_bitmap_1;
inline constexpr Control64<16> eoi_exit_bitmap_2;
inline constexpr Control64<17> eoi_exit_bitmap_3;
inline constexpr Control64<18> eptp_list_address;
inline constexpr Control64<19> vmread_bitmap_address;
inline constexpr Control64<20> vmwrite_bitmap_address;
inline constexpr Control64<21> virtualization_exception_address;
inline constexpr Control64<22> xss_exiting_bitmap;
inline constexpr Control64<23> encls_exiting_bitmap;
inline constexpr Control64<24> sub_page_permission_table_pointer;
inline constexpr Control64<25> tsc_multiplier;
inline constexpr Control64<26> tertiary_processor_based_controls;  // newer than our edition
inline constexpr Control64<27> enclv_exiting_bitmap;

// ---- VM-exit and VM-entry control fields ------------------------------------------------------
// [SDM 3C 24.7 "VM-Exit Control Fields"], [SDM 3C 24.8 "VM-Entry Control Fields"]
inline constexpr Control32<6, arch::Flags<ExitControl>> exit_controls;
inline constexpr Control32<7> exit_msr_store_count;
inline constexpr Control32<8> exit_msr_load_count;
inline constexpr Control32<9, arch::Flags<EntryControl>> entry_controls;
inline constexpr Control32<10> entry_msr_load_count;
inline constexpr Control32<11, InterruptionInformation> entry_interruption_information;
inline constexpr Control32<12> entry_exception_error_code;
inline constexpr Control32<13> entry_instruction_length;
inline constexpr Control64<3> exit_msr_store_address;
inline constexpr Control64<4> exit_msr_load_address;
inline constexpr Control64<5> entry_msr_load_address;

// ---- VM-exit information fields.  [SDM 3C 24.9 "VM-Exit Information Fields"] -------------------
template <std::uint32_t index, typename T = std::uint32_t>
using Information32 = Field<Width::bits32, Area::exit_information, index, T>;

inline constexpr Information32<0> vm_instruction_error;
inline constexpr Information32<1, ExitReasonField> exit_reason;
inline constexpr Information32<2, InterruptionInformation> exit_interruption_information;
inline constexpr Information32<3> exit_interruption_error_code;
inline constexpr Information32<4, InterruptionInformation> idt_vectoring_information;
inline constexpr Information32<5> idt_vectoring_error_code;
inline constexpr Information32<6> exit_instruction_length;
inline constexpr Information32<7> exit_instruction_information;
inline constexpr Field<Width::natural, Area::exit_information, 0> exit_qualification;
inline constexpr Field<Width::natural, Area::exit_information, 1> io_rcx;
inline constexpr Field<Width::natural, Area::exit_information, 2> io_rsi;
inline constexpr Field<Width::natural, Area::exit_information, 3> io_rdi;
inline constexpr Field<Width::natural, Area::exit_information, 4> io_rip;
inline constexpr Field<Width::natural, Area::exit_information, 5, arch::GuestLinearAddress>
    guest_linear_address;
inline constexpr Field<Width::bits64, Area::exit_information, 0, arch::GuestPhysicalAddress>
    guest_physical_address;

/// The encoding of the field that lies `segment` places behind the first one of its row.
template <typename F>
[[nodiscard]] constexpr std::uint32_t nth(F, SegmentIndex segment) {
    return F::encoding + 2 * std::to_underlying(segment);
}

// ---- The second entry: what appendix B prints -------------------------------------------------
// [SDM 3D B.1.2 "16-Bit Guest-State Fields"], [SDM 3D B.1.3 "16-Bit Host-State Fields"]
static_assert(nth(guest_es_selector, SegmentIndex::es) == 0x0800);
static_assert(nth(guest_es_selector, SegmentIndex::tr) == 0x080E);
static_assert(host_es_selector.encoding == 0x0C00 && host_tr_selector.encoding == 0x0C0C);
static_assert(guest_interrupt_status.encoding == 0x0810 && guest_pml_index.encoding == 0x0812);
// [SDM 3D B.1.1 "16-Bit Control Fields"]
static_assert(virtual_processor_identifier.encoding == 0x0000);
static_assert(posted_interrupt_vector.encoding == 0x0002 && eptp_index.encoding == 0x0004);
// [SDM 3D B.2.1 "64-Bit Control Fields"], [SDM 3D B.2.3 "64-Bit Guest-State Fields"]
// [SDM 3D B.2.2 "64-Bit Read-Only Data Field"]
static_assert(msr_bitmap_address.encoding == 0x2004 && tsc_offset.encoding == 0x2010);
static_assert(ept_pointer.encoding == 0x201A && guest_physical_address.encoding == 0x2400);
static_assert(io_bitmap_a_address.encoding == 0x2000 && io_bitmap_b_address.encoding == 0x2002);
static_assert(exit_msr_store_address.encoding == 0x2006);
static_assert(exit_msr_load_address.encoding == 0x2008);
static_assert(entry_msr_load_address.encoding == 0x200A);
static_assert(executive_vmcs_pointer.encoding == 0x200C && pml_address.encoding == 0x200E);
static_assert(virtual_apic_address.encoding == 0x2012 && apic_access_address.encoding == 0x2014);
static_assert(posted_interrupt_descriptor_address.encoding == 0x2016);
static_assert(vm_function_controls.encoding == 0x2018 && eoi_exit_bitmap_0.encoding == 0x201C);
static_assert(eoi_exit_bitmap_3.encoding == 0x2022 && eptp_list_address.encoding == 0x2024);
static_assert(vmread_bitmap_address.encoding == 0x2026);
static_assert(vmwrite_bitmap_address.encoding == 0x2028);
static_assert(virtualization_exception_address.encoding == 0x202A);
static_assert(xss_exiting_bitmap.encoding == 0x202C && encls_exiting_bitmap.encoding == 0x202E);
static_assert(sub_page_permission_table_pointer.encoding == 0x2030);
static_assert(tsc_multiplier.encoding == 0x2032 && enclv_exiting_bitmap.encoding == 0x2036);
static_assert(guest_vmcs_link_pointer.encoding == 0x2800 && guest_debugctl.encoding == 0x2802);
static_assert(guest_pat.encoding == 0x2804 && guest_efer.encoding == 0x2806);
static_assert(guest_perf_global_ctrl.encoding == 0x2808 && guest_pdpte0.encoding == 0x280A);
static_assert(guest_pdpte3.encoding == 0x2810 && guest_bndcfgs.encoding == 0x2812);
static_assert(guest_rtit_ctl.encoding == 0x2814 && guest_pkrs.encoding == 0x2818);
// [SDM 3D B.2.4 "64-Bit Host-State Fields"]
static_assert(host_pat.encoding == 0x2C00 && host_efer.encoding == 0x2C02);
static_assert(host_perf_global_ctrl.encoding == 0x2C04 && host_pkrs.encoding == 0x2C06);
// [SDM 3D B.3.1 "32-Bit Control Fields"]
static_assert(pin_based_controls.encoding == 0x4000);
static_assert(primary_processor_based_controls.encoding == 0x4002);
static_assert(secondary_processor_based_controls.encoding == 0x401E);
static_assert(exception_bitmap.encoding == 0x4004 && cr3_target_count.encoding == 0x400A);
static_assert(page_fault_error_code_mask.encoding == 0x4006);
static_assert(page_fault_error_code_match.encoding == 0x4008);
static_assert(exit_controls.encoding == 0x400C && exit_msr_store_count.encoding == 0x400E);
static_assert(exit_msr_load_count.encoding == 0x4010 && entry_controls.encoding == 0x4012);
static_assert(entry_msr_load_count.encoding == 0x4014);
static_assert(entry_interruption_information.encoding == 0x4016);
static_assert(entry_exception_error_code.encoding == 0x4018);
static_assert(entry_instruction_length.encoding == 0x401A && tpr_threshold.encoding == 0x401C);
static_assert(pause_loop_gap.encoding == 0x4020 && pause_loop_window.encoding == 0x4022);
// [SDM 3D B.3.2 "32-Bit Read-Only Data Fields"]
static_assert(vm_instruction_error.encoding == 0x4400 && exit_reason.encoding == 0x4402);
static_assert(exit_interruption_information.encoding == 0x4404);
static_assert(exit_interruption_error_code.encoding == 0x4406);
static_assert(idt_vectoring_information.encoding == 0x4408);
static_assert(idt_vectoring_error_code.encoding == 0x440A);
static_assert(exit_instruction_length.encoding == 0x440C);
static_assert(exit_instruction_information.encoding == 0x440E);
// [SDM 3D B.3.3 "32-Bit Guest-State Fields"], [SDM 3D B.3.4 "32-Bit Host-State Field"]
static_assert(nth(guest_es_limit, SegmentIndex::es) == 0x4800);
static_assert(nth(guest_es_limit, SegmentIndex::tr) == 0x480E);
static_assert(guest_gdtr_limit.encoding == 0x4810 && guest_idtr_limit.encoding == 0x4812);
static_assert(nth(guest_es_rights, SegmentIndex::es) == 0x4814);
static_assert(nth(guest_es_rights, SegmentIndex::tr) == 0x4822);
static_assert(guest_cs_rights.encoding == 0x4816 && guest_ss_rights.encoding == 0x4818);
static_assert(guest_interruptibility_state.encoding == 0x4824);
static_assert(guest_activity_state.encoding == 0x4826);
static_assert(guest_smbase.encoding == 0x4828);
static_assert(guest_preemption_timer_value.encoding == 0x482E);
static_assert(guest_sysenter_cs.encoding == 0x482A && host_sysenter_cs.encoding == 0x4C00);
// [SDM 3D B.4.1 "Natural-Width Control Fields"]
static_assert(cr0_guest_host_mask.encoding == 0x6000 && cr4_guest_host_mask.encoding == 0x6002);
static_assert(cr0_read_shadow.encoding == 0x6004 && cr4_read_shadow.encoding == 0x6006);
static_assert(cr3_target_value_0.encoding == 0x6008 && cr3_target_value_3.encoding == 0x600E);
// [SDM 3D B.4.2 "Natural-Width Read-Only Data Fields"]
static_assert(io_rcx.encoding == 0x6402 && io_rip.encoding == 0x6408);
static_assert(exit_qualification.encoding == 0x6400 && guest_linear_address.encoding == 0x640A);
// [SDM 3D B.4.3 "Natural-Width Guest-State Fields"]
static_assert(guest_cr0.encoding == 0x6800 && guest_cr3.encoding == 0x6802);
static_assert(guest_cr4.encoding == 0x6804 && guest_es_base.encoding == 0x6806);
static_assert(nth(guest_es_base, SegmentIndex::tr) == 0x6814);
static_assert(guest_gdtr_base.encoding == 0x6816);
static_assert(guest_idtr_base.encoding == 0x6818 && guest_dr7.encoding == 0x681A);
static_assert(guest_rsp.encoding == 0x681C && guest_rip.encoding == 0x681E);
static_assert(guest_rflags.encoding == 0x6820);
static_assert(guest_pending_debug_exceptions.encoding == 0x6822);
static_assert(guest_sysenter_esp.encoding == 0x6824 && guest_sysenter_eip.encoding == 0x6826);
static_assert(guest_s_cet.encoding == 0x6828 && guest_ssp.encoding == 0x682A);
static_assert(guest_interrupt_ssp_table.encoding == 0x682C);
// [SDM 3D B.4.4 "Natural-Width Host-State Fields"]
static_assert(host_s_cet.encoding == 0x6C18 && host_ssp.encoding == 0x6C1A);
static_assert(host_interrupt_ssp_table.encoding == 0x6C1C);
static_assert(host_cr0.encoding == 0x6C00 && host_cr3.encoding == 0x6C02);
static_assert(host_cr4.encoding == 0x6C04 && host_fs_base.encoding == 0x6C06);
static_assert(host_gs_base.encoding == 0x6C08 && host_tr_base.encoding == 0x6C0A);
static_assert(host_gdtr_base.encoding == 0x6C0C && host_idtr_base.encoding == 0x6C0E);
static_assert(host_sysenter_esp.encoding == 0x6C10 && host_sysenter_eip.encoding == 0x6C12);
static_assert(host_rsp.encoding == 0x6C14 && host_rip.encoding == 0x6C16);

}  // namespace hvp::vmx
