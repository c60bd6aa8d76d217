// The rules on the guest's non-register state, in words.
#pragma once

#include "hypervisor/vmcs/names/rule_texts/rule_text.hpp"

namespace hvp::vmx::checks {

inline constexpr auto activity_texts = std::to_array<RuleText>({
    {"guest-activity-range", "The guest activity state is 0 to 3.",
     "0 active, 1 HLT, 2 shutdown, 3 wait-for-SIPI; 0 unless something else is meant."},
    {"guest-activity-supported",
     "The guest activity state is one that IA32_VMX_MISC[8:6] reports as supported.",
     "Use 0, active."},
    {"guest-hlt-cpl", "The guest activity state is HLT only if DPL of SS is 0.",
     "HLT can only be executed at CPL 0, which is SS' DPL."},
    {"guest-active-if-blocked",
     "The guest activity state is active if there is blocking by STI or by MOV SS.",
     "After an exit from HLT behind STI, clear the blocking (bits 1:0) when RIP moves past the "
     "HLT."},
    {"guest-hlt-event",
     "In the HLT state only interrupts, NMIs, #DB, #MC and pending MTF exits are injected.",
     "Write 0, active, to the activity state before another event is injected."},
    {"guest-shutdown-event", "In the shutdown state only NMIs and #MC are injected.",
     "A guest in shutdown has had a triple fault: reset it instead."},
    {"guest-wait-for-sipi-event", "In the wait-for-SIPI state nothing is injected.",
     "Clear bit 31 of the VM-entry interruption-information field."},
    {"guest-wait-for-sipi-smm",
     "With \"entry to SMM\" the guest activity state is not wait-for-SIPI.",
     "Use another activity state."},
    {"guest-interruptibility-reserved", "Bits 31:5 of the guest interruptibility state are 0.",
     "0 for a guest that starts; a field that was never written may hold anything."},
    {"guest-sti-and-mov-ss", "There is not blocking by STI and by MOV SS at once.",
     "Clear bit 0 or bit 1: each lasts for one instruction only."},
    {"guest-sti-needs-if", "There is blocking by STI only if IF (bit 9) of the guest RFLAGS is 1.",
     "Clear bit 0 when IF is cleared, or when RIP moves on."},
    {"guest-blocked-interrupt",
     "If an external interrupt is injected, there is no blocking by STI and none by MOV SS.",
     "Wait for the interrupt window (\"interrupt-window exiting\")."},
    {"guest-blocked-nmi-mov-ss", "If an NMI is injected, there is no blocking by MOV SS.",
     "Wait for the NMI window (\"NMI-window exiting\")."},
    {"guest-smi-blocking-outside-smm", "Outside SMM there is no blocking by SMI.", "Clear bit 2."},
    {"guest-smi-blocking-in-smm", "With \"entry to SMM\" there is blocking by SMI.", "Set bit 2."},
    {"guest-blocked-nmi-sti",
     "If an NMI is injected, there is no blocking by STI: some processors insist on it (exit "
     "qualification 3).",
     "Clear bit 0, or wait for the NMI window."},
    {"guest-blocked-virtual-nmi",
     "If an NMI is injected with \"virtual NMIs\", there is no blocking by NMI.",
     "Wait for the NMI window: the guest has not yet executed IRET for the last one."},
    {"guest-enclave-mov-ss", "With \"enclave interruption\" there is no blocking by MOV SS.",
     "Clear bit 1 or bit 4."},
    {"guest-enclave-needs-sgx", "\"Enclave interruption\" is 1 only on a processor with SGX.",
     "Clear bit 4."},
});

inline constexpr auto debug_and_link_texts = std::to_array<RuleText>({
    {"guest-pending-debug-reserved",
     "Bits 11:4, 13, 15 and 63:17 of the guest pending debug exceptions are 0.",
     "0 for a guest that starts; a field that was never written may hold anything."},
    {"guest-pending-step",
     "With blocking by STI or MOV SS, or in HLT: BS (bit 14) is 1 if RFLAGS.TF is 1 and "
     "IA32_DEBUGCTL.BTF is 0.",
     "After an instruction that was single-stepped a #DB is pending: set bit 14, or clear "
     "the blocking when RIP moves on. Bochs 2.7 does not insist on it for blocking by STI."},
    {"guest-no-pending-step",
     "With blocking by STI or MOV SS, or in HLT: BS (bit 14) is 0 if RFLAGS.TF is 0 or "
     "IA32_DEBUGCTL.BTF is 1.",
     "Clear bit 14: nothing single-steps this guest."},
    {"guest-pending-rtm-bits",
     "If RTM (bit 16) of the pending debug exceptions is 1, bit 12 is 1 and bits 11:0, 15:13 and "
     "63:17 are 0.",
     "Clear bit 16, unless advanced debugging of transactional regions is meant."},
    {"guest-pending-rtm-needs-rtm",
     "RTM (bit 16) of the pending debug exceptions is 1 only on a processor with RTM.",
     "Clear bit 16."},
    {"guest-pending-rtm-mov-ss",
     "If RTM (bit 16) of the pending debug exceptions is 1, there is no blocking by MOV SS.",
     "Clear bit 16, or bit 1 of the interruptibility state."},
    {"guest-link-aligned", "The VMCS link pointer is FFFFFFFF_FFFFFFFFH, or its bits 11:0 are 0.",
     "Write all ones, 64 bits, unless VMCS shadowing is used. (Writing ~0 as a 32-bit number "
     "leaves the upper half 0.)"},
    {"guest-link-width",
     "The VMCS link pointer is FFFFFFFF_FFFFFFFFH, or has no bits beyond the processor's "
     "physical-address width.",
     "Write all ones, or the physical address of the shadow VMCS."},
    {"guest-link-revision",
     "The VMCS at the link pointer starts with the processor's VMCS revision identifier.",
     "Write all ones unless there is a shadow VMCS; 0 is an address like any other, and what lies "
     "there is no VMCS."},
    {"guest-link-shadow",
     "Bit 31 of the first word of the VMCS at the link pointer equals \"VMCS shadowing\".",
     "With the control at 1 the link pointer names a shadow VMCS, else an ordinary one."},
    {"guest-link-not-current",
     "Outside SMM, and with \"entry to SMM\", the VMCS link pointer is not that of the current "
     "VMCS.",
     "A VMCS cannot shadow itself: write all ones, or the address of another region."},
    {"guest-link-not-executive",
     "In SMM, without \"entry to SMM\", the VMCS link pointer is not the executive-VMCS pointer.",
     "Only an SMM-transfer monitor meets this rule."},
});

inline constexpr auto guest_non_register_texts = joined(activity_texts, debug_and_link_texts);

}  // namespace hvp::vmx::checks
