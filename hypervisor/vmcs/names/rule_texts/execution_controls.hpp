// The rules on the VM-execution control fields, in words.
#pragma once

#include "hypervisor/vmcs/names/rule_texts/rule_text.hpp"

namespace hvp::vmx::checks {

/// The two texts of a page whose address stands in the VMCS.
#define HVP_PAGE_TEXTS(ID, NAME, WHEN)                                                        \
    {ID "-aligned", WHEN ", bits 11:0 of the " NAME " are 0.",                                \
     "Give a physical address of a whole 4-KByte page; the processor reads it without "       \
     "translation and takes no offset."},                                                     \
        {ID "-width",                                                                         \
         WHEN ", the " NAME " has no bits beyond the processor's physical-address width.",    \
         "Give the page's physical address; what stands here looks like a linear one, or is " \
         "larger than this processor's memory can be (CPUID.80000008H:EAX[7:0])."}

inline constexpr auto execution_texts = std::to_array<RuleText>({
    {"pin-must-be-1", "The pin-based controls have a 1 wherever the processor demands one.",
     "Compute the word: (wanted | low half of the capability MSR) & high half. The MSR is "
     "IA32_VMX_TRUE_PINBASED_CTLS (48DH) if IA32_VMX_BASIC[55] is 1, else IA32_VMX_PINBASED_CTLS "
     "(481H)."},
    {"pin-must-be-0", "The pin-based controls have no 1 that this processor does not support.",
     "Do without the control, or refuse to start on this processor: the high half of "
     "IA32_VMX_(TRUE_)PINBASED_CTLS has a 0 there."},
    {"primary-must-be-1",
     "The primary processor-based controls have a 1 wherever the processor demands one.",
     "Compute the word: (wanted | low half of the capability MSR) & high half. The MSR is "
     "IA32_VMX_TRUE_PROCBASED_CTLS (48EH) if IA32_VMX_BASIC[55] is 1, else "
     "IA32_VMX_PROCBASED_CTLS (482H)."},
    {"primary-must-be-0",
     "The primary processor-based controls have no 1 that this processor does not support.",
     "Do without the control: the high half of IA32_VMX_(TRUE_)PROCBASED_CTLS has a 0 there."},
    {"secondary-must-be-0",
     "With \"activate secondary controls\", the secondary controls have no 1 that this processor "
     "does not support.",
     "Do without the control: bits 63:32 of IA32_VMX_PROCBASED_CTLS2 (48BH) have a 0 there."},
    {"cr3-target-count",
     "The CR3-target count is not larger than what IA32_VMX_MISC[24:16] reports (4 so far).",
     "Write 0 unless CR3-target values are used; a field that was never written may hold "
     "anything."},
    HVP_PAGE_TEXTS("io-bitmap-a", "address of I/O bitmap A", "With \"use I/O bitmaps\""),
    HVP_PAGE_TEXTS("io-bitmap-b", "address of I/O bitmap B", "With \"use I/O bitmaps\""),
    HVP_PAGE_TEXTS("msr-bitmap", "address of MSR bitmaps", "With \"use MSR bitmaps\""),
    HVP_PAGE_TEXTS("virtual-apic", "virtual-APIC address", "With \"use TPR shadow\""),
    {"tpr-threshold-reserved",
     "With \"use TPR shadow\" and without \"virtual-interrupt delivery\", bits 31:4 of the TPR "
     "threshold are 0.",
     "The threshold is a class of priorities, 0 to 15: write TPR >> 4."},
    {"tpr-threshold-vtpr",
     "With \"use TPR shadow\" and without \"virtualize APIC accesses\" and \"virtual-interrupt "
     "delivery\", the TPR threshold is not above bits 7:4 of the virtual TPR.",
     "Lower the threshold, or write the guest's TPR to offset 80H of the virtual-APIC page "
     "first: otherwise the guest would exit at once."},
    {"virtual-nmis-need-nmi-exiting", "\"Virtual NMIs\" is 1 only with \"NMI exiting\".",
     "Set \"NMI exiting\", too (bit 3): only a VMM that takes NMIs can hand out virtual ones."},
    {"nmi-window-needs-virtual-nmis", "\"NMI-window exiting\" is 1 only with \"virtual NMIs\".",
     "Set \"virtual NMIs\" (pin-based, bit 5) and \"NMI exiting\" (bit 3), or ask for no NMI "
     "window."},
    HVP_PAGE_TEXTS("apic-access", "APIC-access address", "With \"virtualize APIC accesses\""),
    {"x2apic-needs-tpr-shadow", "\"Virtualize x2APIC mode\" is 1 only with \"use TPR shadow\".",
     "Set \"use TPR shadow\" (primary, bit 21) and give a virtual-APIC page."},
    {"apic-registers-need-tpr-shadow",
     "\"APIC-register virtualization\" is 1 only with \"use TPR shadow\".",
     "Set \"use TPR shadow\" (primary, bit 21) and give a virtual-APIC page."},
    {"virtual-interrupts-need-tpr-shadow",
     "\"Virtual-interrupt delivery\" is 1 only with \"use TPR shadow\".",
     "Set \"use TPR shadow\" (primary, bit 21) and give a virtual-APIC page."},
    {"x2apic-or-apic-accesses",
     "\"Virtualize x2APIC mode\" and \"virtualize APIC accesses\" are not both 1.",
     "Choose by the guest's mode: MSRs 800H-8FFH for x2APIC, a page for xAPIC."},
    {"virtual-interrupts-need-exits",
     "\"Virtual-interrupt delivery\" is 1 only with \"external-interrupt exiting\".",
     "Set \"external-interrupt exiting\" (pin-based, bit 0): real interrupts must reach the VMM."},
    {"posted-need-virtual-interrupts",
     "\"Process posted interrupts\" is 1 only with \"virtual-interrupt delivery\".",
     "Set \"virtual-interrupt delivery\" (secondary, bit 9), which delivers what was posted."},
    {"posted-need-acknowledge",
     "\"Process posted interrupts\" is 1 only with the VM-exit control \"acknowledge interrupt on "
     "exit\".",
     "Set \"acknowledge interrupt on exit\" (VM-exit controls, bit 15)."},
    {"posted-vector", "With \"process posted interrupts\", the notification vector is 0 to 255.",
     "Write the vector of the notification interrupt; bits 15:8 are 0."},
    {"posted-descriptor-aligned",
     "With \"process posted interrupts\", bits 5:0 of the descriptor's address are 0.",
     "The posted-interrupt descriptor is 64 bytes and aligned to 64."},
    {"posted-descriptor-width",
     "With \"process posted interrupts\", the descriptor's address has no bits beyond the "
     "processor's physical-address width.",
     "Give the descriptor's physical address."},
    {"vpid-not-0", "With \"enable VPID\", the VPID is not 0000H.",
     "Write 1 or more: 0 is the host's own tag in the TLB."},
    {"eptp-memory-type",
     "With \"enable EPT\", bits 2:0 of the EPTP are a memory type that the processor supports for "
     "EPT paging structures.",
     "Write 6 (write-back), or 0 (uncacheable) where IA32_VMX_EPT_VPID_CAP[8] is 1."},
    {"eptp-walk-length",
     "With \"enable EPT\", bits 5:3 of the EPTP are 3: a page walk of length 4.",
     "The field is the length *less one*: write 3 there, so that the low byte is 1EH for "
     "write-back tables."},
    {"eptp-accessed-dirty",
     "With \"enable EPT\", bit 6 of the EPTP is 1 only if the processor supports accessed and "
     "dirty flags for EPT.",
     "Clear bit 6, or check IA32_VMX_EPT_VPID_CAP[21] first."},
    {"eptp-reserved",
     "With \"enable EPT\", bits 11:7 of the EPTP and those beyond the processor's physical-address "
     "width are 0.",
     "The EPTP is the *physical* address of the EPT PML4 table, aligned to 4 KBytes, plus bits "
     "6:0."},
    {"pml-needs-ept", "\"Enable PML\" is 1 only with \"enable EPT\".",
     "Set \"enable EPT\" (secondary, bit 1): PML logs what EPT's dirty flags say."},
    HVP_PAGE_TEXTS("pml", "PML address", "With \"enable PML\""),
    {"unrestricted-needs-ept", "\"Unrestricted guest\" is 1 only with \"enable EPT\".",
     "Set \"enable EPT\" (secondary, bit 1): a guest without paging needs somebody's tables."},
    {"mode-based-execute-needs-ept",
     "\"Mode-based execute control for EPT\" is 1 only with \"enable EPT\".",
     "Set \"enable EPT\" (secondary, bit 1)."},
    {"vm-functions-supported",
     "With \"enable VM functions\", the VM-function controls have no 1 that IA32_VMX_VMFUNC lacks.",
     "Clear the bit: IA32_VMX_VMFUNC (491H) has a 0 there."},
    {"eptp-switching-needs-ept", "\"EPTP switching\" is 1 only with \"enable EPT\".",
     "Set \"enable EPT\" (secondary, bit 1), or clear bit 0 of the VM-function controls."},
    HVP_PAGE_TEXTS("eptp-list", "EPTP-list address", "With \"EPTP switching\""),
    HVP_PAGE_TEXTS("vmread-bitmap", "VMREAD-bitmap address", "With \"VMCS shadowing\""),
    HVP_PAGE_TEXTS("vmwrite-bitmap", "VMWRITE-bitmap address", "With \"VMCS shadowing\""),
    HVP_PAGE_TEXTS("ve-information", "virtualization-exception information address",
                   "With \"EPT-violation #VE\""),
});

#undef HVP_PAGE_TEXTS

}  // namespace hvp::vmx::checks
