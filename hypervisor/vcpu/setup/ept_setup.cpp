#include "hypervisor/vcpu/setup/ept_setup.hpp"

#include <bit>
#include <utility>

#include "hypervisor/arch/cpuid.hpp"
#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vmx/adjusted_controls.hpp"
#include "hypervisor/vmx/vmx_operation.hpp"

namespace hvp::vmx {
namespace {

using arch::Msr;

constexpr Citation capabilities{"3D", "A.10", "VPID and EPT Capabilities"};

std::unexpected<Failure> no_ept() {
    static constexpr Explanation why{
        .step = "EPT",
        .rule = {"3D", "A.3.3", "Secondary Processor-Based VM-Execution Controls"},
        .remedy = "this processor has VT-x without EPT: choose a newer one",
    };
    return std::unexpected{not_supported(why)};
}

std::unexpected<Failure> lacks(const ept::Requirement& requirement) {
    // One text for each requirement, as a Failure points to a text that lives on.
    static constexpr auto texts = [] {
        std::array<Explanation, ept::requirements.size()> all{};
        for (std::size_t i = 0; i < all.size(); ++i) {
            all[i] = {.step = "EPT", .rule = capabilities, .remedy = ept::requirements[i].remedy};
        }
        return all;
    }();
    const auto index = static_cast<std::size_t>(&requirement - ept::requirements.data());
    return std::unexpected{Failure{
        .kind = FailureKind::not_supported, .why = &texts[index], .number = requirement.bit}};
}

/// Switches one more secondary control on, where the processor has it.
std::expected<bool, Failure> add(SecondaryControl control) {
    const auto capability = ControlCapability::from_msr(arch::rdmsr(Msr::vmx_procbased_ctls2));
    if (capability.refused(std::to_underlying(control)) != 0) {
        return false;
    }
    CurrentVmcs vmcs;
    vmcs.write(secondary_processor_based_controls,
               vmcs.read(secondary_processor_based_controls) | control);
    return !vmcs.refused();
}

/// That the processor has it, if all of it could be written.
std::expected<bool, Failure> has_it(const CurrentVmcs& vmcs) {
    if (const auto good = written(vmcs); !good) {
        return std::unexpected{good.error()};
    }
    return true;
}

}  // namespace

std::expected<ept::Limits, Failure> check_ept_support() {
    // Each MSR exists only where the one before it says so.
    const auto primary = ControlCapability::from_msr(arch::rdmsr(Msr::vmx_procbased_ctls));
    constexpr auto secondary_controls =
        std::to_underlying(PrimaryControl::activate_secondary_controls);
    if (primary.refused(secondary_controls) != 0) {
        return no_ept();
    }
    const auto secondary = ControlCapability::from_msr(arch::rdmsr(Msr::vmx_procbased_ctls2));
    if (secondary.refused(std::to_underlying(SecondaryControl::enable_ept)) != 0) {
        return no_ept();
    }
    const std::uint64_t msr = arch::rdmsr(Msr::vmx_ept_vpid_cap);
    if (const ept::Requirement* const missing = ept::missing_requirement(msr)) {
        return lacks(*missing);
    }
    return ept::Limits{.capability = std::bit_cast<ept::Capability>(msr),
                       .physical_address_bits = arch::physical_address_bits()};
}

std::expected<void, Failure> enable_ept(ept::Pointer pointer) {
    CurrentVmcs vmcs;
    write_controls(vmcs, secondary_processor_based_controls,
                   vmcs.read(secondary_processor_based_controls) | SecondaryControl::enable_ept);
    vmcs.write(ept_pointer, pointer);
    return written(vmcs);
}

std::expected<bool, Failure> enable_unrestricted_guest(VirtualProcessor& processor) {
    const auto added = add(SecondaryControl::unrestricted_guest);
    if (!added || !*added) {
        return added;
    }
    CurrentVmcs vmcs;
    // An exit would leave LME set, and an entry without paging would leave it so: the guest in real
    // mode would find itself with LME set. "IA-32e mode guest" follows the guest's LMA by itself.
    // [SDM 3C 31.2.1 "Using Unrestricted Guest Mode"]
    write_controls(vmcs, exit_controls,
                   vmcs.read(exit_controls) | (ExitControl::save_efer | ExitControl::load_efer));
    write_controls(vmcs, entry_controls, vmcs.read(entry_controls) | EntryControl::load_efer);
    const arch::Flags<arch::Efer> efer{arch::rdmsr(Msr::efer)};
    vmcs.write(guest_efer, efer);
    vmcs.write(host_efer, efer);
    processor.unrestricted = !vmcs.refused();
    vmcs.write(cr0_guest_host_mask, processor.fixed_cr0());
    return has_it(vmcs);
}

std::expected<bool, Failure> enable_vpid(VirtualProcessor& processor,
                                         const ept::Capability& capability, std::uint16_t vpid) {
    processor.vpid = 0;
    if (capability.invvpid == 0 || capability.invvpid_single_context == 0) {
        return false;
    }
    const auto added = add(SecondaryControl::enable_vpid);
    if (!added || !*added) {
        return added;
    }
    CurrentVmcs vmcs;
    vmcs.write(virtual_processor_identifier, vpid);
    if (const auto good = has_it(vmcs); !good) {
        return good;
    }
    const arch::VmxResult forgotten = arch::invvpid(arch::InvvpidType::single_context, vpid);
    if (forgotten != arch::VmxResult::succeed) {
        static constexpr Explanation why{
            .step = "INVVPID",
            .rule = {"3C", "28.3.3.3", "Guidelines for Use of the INVVPID Instruction"},
            .remedy = "the processor refuses the type, or the VPID is 0",
        };
        return instruction_failed(why, forgotten);
    }
    processor.vpid = vpid;
    processor.invvpid_retains_globals = capability.invvpid_single_context_but_globals != 0;
    return true;
}

std::expected<bool, Failure> enable_page_modification_log(VirtualProcessor& processor,
                                                          arch::HostPhysicalAddress log) {
    processor.write_log = false;
    const auto added = add(SecondaryControl::enable_pml);
    if (!added || !*added) {
        return added;
    }
    CurrentVmcs vmcs;
    vmcs.write(pml_address, log);
    vmcs.write(guest_pml_index, last_pml_index);
    if (const auto good = has_it(vmcs); !good) {
        return good;
    }
    processor.write_log = true;
    return true;
}

}  // namespace hvp::vmx
