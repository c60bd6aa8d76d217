// MOV to and from control registers.
//
// Bits of CR0 and CR4 that VMX operation fixes are ours: they are set in the guest/host masks, the
// guest reads the read shadows, and a write that would change what it sees comes here.
// [SDM 3C 24.6.6 "Guest/Host Masks and Read Shadows for CR0 and CR4"],
// [SDM 3C 31.11 "Handling Accesses to Control Registers"]
#pragma once

#include <bit>

#include "hypervisor/events/delivery.hpp"
#include "hypervisor/vmcs/exit_qualification.hpp"

namespace hvp::vmx {

/// MOV to CR0 that changes a bit which VMX operation fixes. An unrestricted guest changes PE and PG
/// without us, with all that follows from it; both at once we do not emulate.
/// [SDM 3A 2.5 "Control Registers"]
inline Next write_guest_cr0(Exit exit, std::uint64_t raw) {
    using arch::Cr0;
    const arch::Flags<Cr0> value{raw};
    constexpr auto mode = Cr0::protection_enable | Cr0::paging;
    const bool same_mode = (value & mode) == (exit.vmcs.read(guest_cr0) & mode);
    const bool caches = value.has(Cr0::cache_disable) || !value.has(Cr0::not_write_through);
    if (!same_mode && exit.processor().unrestricted) {
        return exit.stop(StopReason::unhandled_detail);
    }
    // [SDM 3A 2.5 "Control Registers"], WP, in an edition that knows CET
    const bool protects = value.has(Cr0::write_protect) ||
                          !exit.vmcs.read(guest_cr4).has(arch::Cr4::control_flow_enforcement);
    if (raw >> 32 != 0 || !same_mode || !caches || !protects) {
        return inject_fault(exit, Vector::general_protection);
    }
    // Bits that mean nothing are ignored, and ET is always 1.
    constexpr std::uint64_t defined = 0xE005'003F;
    const arch::Flags<Cr0> kept = arch::Flags<Cr0>{raw & defined} | Cr0::extension_type;
    exit.vmcs.write(guest_cr0, kept | exit.processor().fixed_cr0());
    exit.vmcs.write(cr0_read_shadow, kept);
    return Next::step_over;
}

/// MOV to CR3 invalidates the translations that are not global. Without a VPID the entry that
/// follows invalidates all of them; with one it invalidates none, and the emulation must.
/// [SDM 3C 28.3.3.3 "Guidelines for Use of the INVVPID Instruction"]
///
/// Returns  false: the processor has refused, and the guest would go on with old translations
[[nodiscard]] inline bool flush_translations(const VirtualProcessor& processor) {
    if (processor.vpid == 0) {
        return true;
    }
    const auto type = processor.invvpid_retains_globals
                          ? arch::InvvpidType::single_context_retaining_globals
                          : arch::InvvpidType::single_context;
    return arch::invvpid(type, processor.vpid) == arch::VmxResult::succeed;
}

/// With PAE paging, which is not long mode's, MOV to CR3 loads four entries; under EPT they are
/// fields of the VMCS. Only an unrestricted guest can come to that.
/// [SDM 3A 4.4.1 "PDPTE Registers"]
[[nodiscard]] inline bool has_pae_paging(Exit exit) {
    return exit.processor().unrestricted && exit.vmcs.read(guest_cr0).has(arch::Cr0::paging) &&
           exit.vmcs.read(guest_cr4).has(arch::Cr4::physical_address_extension) &&
           !exit.vmcs.read(guest_efer).has(arch::Efer::long_mode_active);
}

inline Next write_guest_cr3(Exit exit, std::uint64_t value) {
    if (has_pae_paging(exit)) {
        return exit.stop(StopReason::unhandled_detail);
    }
    constexpr std::uint64_t keep_translations = 1ULL << 63;
    const bool identifiers = exit.vmcs.read(guest_cr4).has(arch::Cr4::process_context_identifiers);
    // With PCIDs bit 63 is a wish, which is not stored.
    // [SDM 3A 4.10.4.1 "Operations that Invalidate TLBs and Paging-Structure Caches"]
    const std::uint64_t stored = identifiers ? value & ~keep_translations : value;
    if (stored >> exit.processor().physical_address_bits != 0) {
        return inject_fault(exit, Vector::general_protection);
    }
    exit.vmcs.write(guest_cr3, stored);
    const bool keeps = identifiers && (value & keep_translations) != 0;
    if (!keeps && !flush_translations(exit.processor())) {
        return exit.stop(StopReason::unhandled_detail);
    }
    return Next::step_over;
}

inline Next on_control_register(Exit exit) {
    const auto access = std::bit_cast<ControlRegisterAccess>(exit.vmcs.read(exit_qualification));
    const auto which = static_cast<Register>(access.general_register);
    if (access.operation() == ControlRegisterOperation::move_from && access.number == 3) {
        const std::uint64_t value = exit.vmcs.read(guest_cr3);
        if (which == Register::rsp) {
            exit.vmcs.write(guest_rsp, arch::GuestLinearAddress{value});
        } else {
            exit.registers()[which] = value;
        }
        return Next::step_over;
    }
    if (access.operation() != ControlRegisterOperation::move_to) {
        return exit.stop(StopReason::unhandled_detail);
    }
    const std::uint64_t whole =
        which == Register::rsp ? exit.vmcs.read(guest_rsp).raw() : exit.registers()[which];
    // Outside 64-bit mode registers have 32 bits; the others are left from before.
    // [SDM 3C 27.1 "Architectural State Before a VM Exit"]
    const std::uint64_t value =
        exit.vmcs.read(guest_cs_rights).long_mode != 0 ? whole : whole & 0xFFFF'FFFF;
    switch (access.number) {
        case 0:
            return write_guest_cr0(exit, value);
        case 3:
            return write_guest_cr3(exit, value);
        case 4:
            // Only an attempt to set VMXE comes here, and this guest's processor has no VMX.
            return inject_fault(exit, Vector::general_protection);
        default:
            return exit.stop(StopReason::unhandled_detail);
    }
}

}  // namespace hvp::vmx
