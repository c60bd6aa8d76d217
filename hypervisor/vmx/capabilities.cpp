#include "hypervisor/vmx/capabilities.hpp"

#include <bit>

#include "hypervisor/arch/cpuid.hpp"
#include "hypervisor/arch/instructions.hpp"

namespace hvp::vmx {
namespace {

using arch::Cr4;
using arch::Msr;

/// [SDM 3C 23.6 "Discovering Support for VMX"]
std::expected<void, Failure> check_processor() {
    const arch::CpuidResult vendor = arch::cpuid(0);
    const bool intel = vendor.ebx == 0x756E'6547 && vendor.edx == 0x4965'6E69 &&
                       vendor.ecx == 0x6C65'746E;  // "Genu" "ineI" "ntel"
    if (!intel) {
        static constexpr Explanation why{
            .step = "CPUID vendor",
            .rule = {"3C", "23.6", "Discovering Support for VMX"},
            .remedy = "this is not an Intel processor; AMD's SVM is another architecture",
        };
        return std::unexpected{not_supported(why)};
    }
    const arch::CpuidResult features = arch::cpuid(1);
    if ((features.ecx & arch::cpuid_1_ecx_vmx) == 0) {
        static constexpr Explanation none{
            .step = "CPUID.1:ECX.VMX",
            .rule = {"3C", "23.6", "Discovering Support for VMX"},
            .remedy = "this processor has no VT-x: use another one",
        };
        static constexpr Explanation hidden{
            .step = "CPUID.1:ECX.VMX",
            .rule = {"3C", "23.6", "Discovering Support for VMX"},
            .remedy =
                "a hypervisor below hides VT-x: turn Hyper-V and memory integrity off, or "
                "nested virtualisation on",
        };
        const bool virtualised = (features.ecx & arch::cpuid_1_ecx_hypervisor) != 0;
        return std::unexpected{not_supported(virtualised ? hidden : none)};
    }
    if (arch::read_cr4().has(Cr4::vmx_enable)) {
        static constexpr Explanation why{
            .step = "CR4.VMXE",
            .rule = {"3C", "23.7", "Enabling and Entering VMX Operation"},
            .remedy = "CR4.VMXE is 1 already: another hypervisor uses VT-x; unload it first",
        };
        return std::unexpected{not_supported(why)};
    }
    return {};
}

/// Shadow stacks, which the host system's kernel has switched on, and a VMM's changes of stacks do
/// not know. IA32_S_CET exists where CR4.CET can be 1.
std::expected<void, Failure> check_host_system() {
    const arch::Flags<Cr4> cr4 = arch::read_cr4();
    constexpr std::uint64_t shadow_stacks = 1U << 0;
    if (cr4.has(Cr4::control_flow_enforcement) && (arch::rdmsr(Msr::s_cet) & shadow_stacks) != 0) {
        static constexpr Explanation why{
            .step = "IA32_S_CET.SH_STK_EN",
            .rule = {"3A", "6.12.1.1",
                     "Shadow Stack Usage on Transfers to Interrupt and Exception Handling "
                     "Routines"},
            .remedy =
                "the system's kernel has shadow stacks, and the VMM's changes of stacks would be "
                "#CP: turn kernel-mode hardware-enforced stack protection off",
        };
        return std::unexpected{not_supported(why)};
    }
    return {};
}

/// Firmware enables or disables VT-x and locks that until the next reset. Where it has left the
/// register unlocked, we enable and lock it; that cannot be undone.  [SDM 3C 23.7 "Enabling and Entering VMX Operation"]
std::expected<void, Failure> check_firmware() {
    auto control = std::bit_cast<arch::FeatureControl>(arch::rdmsr(Msr::feature_control));
    if (control.locked == 0) {
        control.locked = 1;
        control.vmx_outside_smx = 1;
        arch::wrmsr(Msr::feature_control, std::bit_cast<std::uint64_t>(control));
    }
    if (control.vmx_outside_smx == 0) {
        static constexpr Explanation why{
            .step = "IA32_FEATURE_CONTROL",
            .rule = {"3C", "23.7", "Enabling and Entering VMX Operation"},
            .remedy =
                "firmware has switched VT-x off and locked it: enable it in the firmware's set-up",
        };
        return std::unexpected{not_supported(why)};
    }
    return {};
}

}  // namespace

std::expected<VmxCapabilities, Failure> probe_vmx() {
    if (const std::expected<void, Failure> good = check_processor(); !good) {
        return std::unexpected{good.error()};
    }
    if (const std::expected<void, Failure> good = check_host_system(); !good) {
        return std::unexpected{good.error()};
    }
    if (const std::expected<void, Failure> good = check_firmware(); !good) {
        return std::unexpected{good.error()};
    }

    const auto basic = std::bit_cast<VmxBasic>(arch::rdmsr(Msr::vmx_basic));
    if (basic.memory_type != memory_type_write_back) {
        static constexpr Explanation why{
            .step = "IA32_VMX_BASIC memory type",
            .rule = {"3D", "A.1", "Basic VMX Information"},
            .remedy =
                "VMX regions must be uncacheable here; ours are "
                "write-back memory",
        };
        return std::unexpected{not_supported(why)};
    }

    // In VMX operation some bits of CR0 and CR4 are fixed: 1 in FIXED0 means "must be 1", 0 in
    // FIXED1 means "must be 0".  [SDM 3D A.7 "VMX-Fixed Bits in CR0"]
    const arch::Flags<arch::Cr0> cr0 = arch::read_cr0();
    const arch::Flags<Cr4> cr4 = arch::read_cr4();
    const arch::Flags<arch::Cr0> cr0_allowed{arch::rdmsr(Msr::vmx_cr0_fixed1)};
    const arch::Flags<Cr4> cr4_allowed{arch::rdmsr(Msr::vmx_cr4_fixed1)};
    if (!cr0.without(cr0_allowed).empty() || !cr4.without(cr4_allowed).empty()) {
        static constexpr Explanation why{
            .step = "fixed bits of CR0 and CR4",
            .rule = {"3C", "23.8", "Restrictions on VMX Operation"},
            .remedy =
                "the system uses a bit of CR0 or CR4 that this "
                "processor forbids in VMX operation",
        };
        return std::unexpected{not_supported(why)};
    }
    return VmxCapabilities{
        .basic = basic,
        .cr0_ones = arch::Flags<arch::Cr0>{arch::rdmsr(Msr::vmx_cr0_fixed0)},
        .cr4_ones = arch::Flags<Cr4>{arch::rdmsr(Msr::vmx_cr4_fixed0)} | Cr4::vmx_enable,
    };
}

}  // namespace hvp::vmx
