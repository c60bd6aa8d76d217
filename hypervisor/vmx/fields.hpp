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
#include "hypervisor/vmx/controls.hpp"
#include "hypervisor/vmx/exit_reason.hpp"
#include "hypervisor/vmx/interruption.hpp"

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
inline constexpr GuestNatural<13> guest_dr7;
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

inline constexpr Field<Width::bits64, Area::guest, 1> guest_debugctl;
inline constexpr Field<Width::bits32, Area::guest, 21> guest_sysenter_cs;
inline constexpr GuestNatural<18> guest_sysenter_esp;
inline constexpr GuestNatural<19> guest_sysenter_eip;

// ---- Guest-state area: non-register state.  [SDM 3C 24.4.2 "Guest Non-Register State"] --------

/// What the guest's processor is doing.  [SDM 3C 24.4.2 "Guest Non-Register State"]
enum class ActivityState : std::uint32_t { active = 0, hlt = 1, shutdown = 2, wait_for_sipi = 3 };

/// What holds events back.  [SDM 3C 24.4.2 "Guest Non-Register State", Table 24-3]
enum class Interruptibility : std::uint32_t {
    blocking_by_sti = 1U << 0,
    blocking_by_mov_ss = 1U << 1,
    blocking_by_smi = 1U << 2,
    blocking_by_nmi = 1U << 3,
};

/// Debug exceptions that wait.  [SDM 3C 24.4.2 "Guest Non-Register State", Table 24-4]
enum class PendingDebug : std::uint64_t {
    breakpoint_0 = 1ULL << 0,
    breakpoint_1 = 1ULL << 1,
    breakpoint_2 = 1ULL << 2,
    breakpoint_3 = 1ULL << 3,
    enabled_breakpoint = 1ULL << 12,
    single_step = 1ULL << 14,
};

inline constexpr Field<Width::bits32, Area::guest, 19, ActivityState> guest_activity_state;
inline constexpr Field<Width::bits32, Area::guest, 18, arch::Flags<Interruptibility>>
    guest_interruptibility_state;
inline constexpr GuestNatural<17, arch::Flags<PendingDebug>> guest_pending_debug_exceptions;
inline constexpr Field<Width::bits64, Area::guest, 0> guest_vmcs_link_pointer;
/// The log is filled from its last entry down.  [SDM 3C 28.2.5 "Page-Modification Logging"]
inline constexpr Field<Width::bits16, Area::guest, 9> pml_index;
inline constexpr std::uint16_t last_pml_index = 511;

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

// ---- VM-execution control fields.  [SDM 3C 24.6 "VM-Execution Control Fields"] ----------------
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
inline constexpr Field<Width::bits16, Area::control, 0> virtual_processor_identifier;
inline constexpr Control64<7, arch::HostPhysicalAddress> pml_address;
inline constexpr Control64<8> tsc_offset;
inline constexpr Control64<13, ept::Pointer> ept_pointer;
inline constexpr ControlNatural<0, arch::Flags<arch::Cr0>> cr0_guest_host_mask;
inline constexpr ControlNatural<1, arch::Flags<arch::Cr4>> cr4_guest_host_mask;
inline constexpr ControlNatural<2, arch::Flags<arch::Cr0>> cr0_read_shadow;
inline constexpr ControlNatural<3, arch::Flags<arch::Cr4>> cr4_read_shadow;

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
inline constexpr Field<Width::natural, Area::exit_information, 0> exit_qualification;
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
// [SDM 3D B.1.1 "16-Bit Control Fields"], [SDM 3D B.1.2 "16-Bit Guest-State Fields"]
static_assert(virtual_processor_identifier.encoding == 0x0000 && pml_index.encoding == 0x0812);
// [SDM 3D B.2.1 "64-Bit Control Fields"], [SDM 3D B.2.3 "64-Bit Guest-State Fields"]
static_assert(pml_address.encoding == 0x200E);
// [SDM 3D B.2.2 "64-Bit Read-Only Data Field"]
static_assert(msr_bitmap_address.encoding == 0x2004 && tsc_offset.encoding == 0x2010);
static_assert(ept_pointer.encoding == 0x201A && guest_physical_address.encoding == 0x2400);
static_assert(guest_vmcs_link_pointer.encoding == 0x2800 && guest_debugctl.encoding == 0x2802);
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
static_assert(entry_instruction_length.encoding == 0x401A);
// [SDM 3D B.3.2 "32-Bit Read-Only Data Fields"]
static_assert(vm_instruction_error.encoding == 0x4400 && exit_reason.encoding == 0x4402);
static_assert(exit_interruption_information.encoding == 0x4404);
static_assert(exit_interruption_error_code.encoding == 0x4406);
static_assert(idt_vectoring_information.encoding == 0x4408);
static_assert(idt_vectoring_error_code.encoding == 0x440A);
static_assert(exit_instruction_length.encoding == 0x440C);
// [SDM 3D B.3.3 "32-Bit Guest-State Fields"], [SDM 3D B.3.4 "32-Bit Host-State Field"]
static_assert(nth(guest_es_limit, SegmentIndex::es) == 0x4800);
static_assert(nth(guest_es_limit, SegmentIndex::tr) == 0x480E);
static_assert(guest_gdtr_limit.encoding == 0x4810 && guest_idtr_limit.encoding == 0x4812);
static_assert(nth(guest_es_rights, SegmentIndex::es) == 0x4814);
static_assert(nth(guest_es_rights, SegmentIndex::tr) == 0x4822);
static_assert(guest_cs_rights.encoding == 0x4816 && guest_ss_rights.encoding == 0x4818);
static_assert(guest_interruptibility_state.encoding == 0x4824);
static_assert(guest_activity_state.encoding == 0x4826);
static_assert(guest_sysenter_cs.encoding == 0x482A && host_sysenter_cs.encoding == 0x4C00);
// [SDM 3D B.4.1 "Natural-Width Control Fields"]
static_assert(cr0_guest_host_mask.encoding == 0x6000 && cr4_guest_host_mask.encoding == 0x6002);
static_assert(cr0_read_shadow.encoding == 0x6004 && cr4_read_shadow.encoding == 0x6006);
// [SDM 3D B.4.2 "Natural-Width Read-Only Data Fields"]
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
// [SDM 3D B.4.4 "Natural-Width Host-State Fields"]
static_assert(host_cr0.encoding == 0x6C00 && host_cr3.encoding == 0x6C02);
static_assert(host_cr4.encoding == 0x6C04 && host_fs_base.encoding == 0x6C06);
static_assert(host_gs_base.encoding == 0x6C08 && host_tr_base.encoding == 0x6C0A);
static_assert(host_gdtr_base.encoding == 0x6C0C && host_idtr_base.encoding == 0x6C0E);
static_assert(host_sysenter_esp.encoding == 0x6C10 && host_sysenter_eip.encoding == 0x6C12);
static_assert(host_rsp.encoding == 0x6C14 && host_rip.encoding == 0x6C16);

}  // namespace hvp::vmx
