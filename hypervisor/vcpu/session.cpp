#include "hypervisor/vcpu/session.hpp"

#include <bit>

#include "hypervisor/vcpu/departure.hpp"
#include "hypervisor/vcpu/setup/ept_setup.hpp"
#include "hypervisor/vcpu/setup/interrupt_setup.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"
#include "hypervisor/vmx/vmx_operation.hpp"

namespace hvp::vmx {
namespace {

/// Drops what the processor may have cached of an EPT that lay in the same pages before.
/// [SDM 3C 28.3.3.4 "Guidelines for Use of the INVEPT Instruction"]
std::expected<void, Failure> flush(ept::Pointer pointer) {
    const arch::VmxResult result =
        arch::invept(arch::InveptType::single_context, std::bit_cast<std::uint64_t>(pointer));
    if (result != arch::VmxResult::succeed) {
        static constexpr Explanation why{
            .step = "INVEPT",
            .rule = {"3C", "28.3.3.4", "Guidelines for Use of the INVEPT Instruction"},
            .remedy = "the processor refuses the type or the EPT pointer in the descriptor",
        };
        return instruction_failed(why, result);
    }
    return {};
}

/// A feature that this processor lacks is no failure.
std::expected<void, Failure> without_value(const std::expected<bool, Failure>& enabled) {
    if (!enabled) {
        return std::unexpected{enabled.error()};
    }
    return {};
}

}  // namespace

Session::Session(const SessionMemory& memory, const VmxCapabilities& capabilities,
                 const ExitPath& path)
    : memory_{memory}, capabilities_{capabilities} {
    prepare(memory_.region, capabilities_, path);
}

std::expected<GuestStop, Failure> Session::run(void (*code)(void*), void* argument) {
    const ProcessorRegion& region = memory_.region;
    const GuestStart guest{.code = code, .argument = argument, .stack_end = stack_end()};
    processor().guest_stop = {};
    processor().vpid = 0;
    processor().write_log = false;
    // Of the guest before: what fails below, before there is a VM exit, must not restore from
    // tables that are not in use; and it may have ended in the middle of a step.
    processor().own_tables = false;
    processor().departed = false;
    processor().frame->leave = hvp_leave_vmm;
    processor().failed_fields.used = 0;
    if (processor().frame->on_exit == processor().step.on_exit_of_step) {
        processor().frame->on_exit = processor().step.on_exit;
    }
    timestamps_ = {};

    const arch::ProcessorState host = arch::ProcessorState::capture();
    const arch::InterruptsOff interrupts_off;
    const HostStateGuard host_state{vmm(), host};
    arch::write_cr0(arch::read_cr0() | capabilities_.cr0_ones);
    arch::write_cr4(arch::read_cr4() | capabilities_.cr4_ones);
    timestamps_.vmxon_at = arch::rdtsc();
    auto operation = VmxOperation::enter(region.physical_of(&vmm().vmxon));
    if (!operation) {
        return std::unexpected{operation.error()};
    }
    if (options.choose_step != nullptr) {
        const auto chosen = options.choose_step(region, host, stack_end(), memory_.host_cr3);
        if (!chosen) {
            return std::unexpected{chosen.error()};
        }
        timestamps_.probe_at = *chosen;
    }
    auto vmcs = LoadedVmcs::load(region.physical_of(&vmm().vmcs));
    if (!vmcs) {
        return std::unexpected{vmcs.error()};
    }
    if (const auto written = write_vmcs(region, host, guest, memory_.host_cr3); !written) {
        return std::unexpected{written.error()};
    }
    if (const auto added = add_options(); !added) {
        return std::unexpected{added.error()};
    }
    timestamps_.vm_entry_at = arch::rdtsc();
    processor().frame->leave = options.departs ? depart : hvp_leave_vmm;
    vmx::run(region);
    timestamps_.left_at = arch::rdtsc();
    if (processor().departed) {
        vmcs->release();
        operation->release();
    }
    return processor().guest_stop;
}  // VMCLEAR, VMXOFF, the host's tables, CR0 and CR4 as they were, interrupts on

std::byte* Session::stack_end() const {
    return options.stack_end != nullptr ? options.stack_end : memory_.guest_stack_end;
}

std::expected<void, Failure> Session::add_options() {
    if (options.epts.front()) {
        if (const auto enabled = enable_ept(*options.epts.front()); !enabled) {
            return enabled;
        }
    }
    for (const auto& pointer : options.epts) {
        if (pointer) {
            if (const auto flushed = flush(*pointer); !flushed) {
                return flushed;
            }
        }
    }
    for (const Feature& feature : options.features) {
        if (feature.add != nullptr) {
            if (const auto added = feature.add(*this, feature.parameter); !added) {
                return added;
            }
        }
    }
    CurrentVmcs vmcs;
    vmcs.write(exception_bitmap, options.exceptions);
    if (options.exit_code != nullptr) {
        vmcs.write(host_rip,
                   arch::HostLinearAddress{reinterpret_cast<std::uint64_t>(options.exit_code)});
    }
    return {};
}

// ---- Features -----------------------------------------------------------------------------------

Feature vpid(std::uint16_t number) {
    return {.add = [](Session& session, std::uint64_t parameter) -> std::expected<void, Failure> {
                const auto capability =
                    std::bit_cast<ept::Capability>(arch::rdmsr(arch::Msr::vmx_ept_vpid_cap));
                const auto enabled = enable_vpid(session.processor(), capability,
                                                 static_cast<std::uint16_t>(parameter));
                return without_value(enabled);
            },
            .parameter = number};
}

Feature write_log(arch::HostPhysicalAddress page) {
    return {.add = [](Session& session, std::uint64_t parameter) -> std::expected<void, Failure> {
                return without_value(enable_page_modification_log(
                    session.processor(), arch::HostPhysicalAddress{parameter}));
            },
            .parameter = page.raw()};
}

Feature unrestricted_guest() {
    return {.add = [](Session& session, std::uint64_t) -> std::expected<void, Failure> {
        return without_value(enable_unrestricted_guest(session.processor()));
    }};
}

Feature interrupt_exiting() {
    return {.add = [](Session&, std::uint64_t) { return enable_interrupt_exiting(); }};
}

}  // namespace hvp::vmx
