#include "hypervisor/exits/single_step.hpp"

#include "hypervisor/exits/hypercall.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"
#include "hypervisor/vmx/vmx_operation.hpp"

namespace hvp::vmx {
namespace {

[[noreturn]] void stop_at_once(void*) {
    (void)hypercall(Hypercall::stop, 0);
    for (;;) {
        arch::hlt();
    }
}

}  // namespace

std::expected<std::uint64_t, Failure> choose_step(const ProcessorRegion& region,
                                                  const arch::ProcessorState& host_system,
                                                  std::byte* stack_end,
                                                  std::uint64_t host_cr3_value) {
    const auto loaded = LoadedVmcs::load(region.physical_of(&region.memory->vmcs));
    if (!loaded) {
        return std::unexpected{loaded.error()};
    }
    const GuestStart guest{.code = stop_at_once, .argument = nullptr, .stack_end = stack_end};
    if (const auto written = write_vmcs(region, host_system, guest, host_cr3_value); !written) {
        return std::unexpected{written.error()};
    }
    CurrentVmcs vmcs;
    const auto basic = std::bit_cast<VmxBasic>(arch::rdmsr(arch::Msr::vmx_basic));
    const auto capability = ControlCapability::from_msr(
        arch::rdmsr(basic.has_true_controls != 0 ? arch::Msr::vmx_true_procbased_ctls
                                                 : arch::Msr::vmx_procbased_ctls));
    constexpr arch::Flags trap{PrimaryControl::monitor_trap_flag};
    if (capability.refused(trap.raw()) == 0) {
        vmcs.write(primary_processor_based_controls,
                   vmcs.read(primary_processor_based_controls) | trap);
    }
    VirtualProcessor& processor = region.memory->processor;
    const std::uint64_t entered_at = arch::rdtsc();
    run(region);
    if (processor.guest_stop.why == StopReason::entry_refused) {
        static constexpr Explanation why{
            .step = "VMLAUNCH",
            .rule = {"3C", "30.4", "VM Instruction Error Numbers"},
            .remedy =
                "of the guest that only chooses the single step: this VMM's own VMCS is wrong",
        };
        return std::unexpected{Failure{.kind = FailureKind::instruction_failed,
                                       .result = processor.guest_stop.result,
                                       .error_number = processor.guest_stop.error_number,
                                       .why = &why}};
    }
    const ExitReason first = processor.guest_stop.reason.basic();
    processor.guest_stop = {};
    processor.exits = {};
    processor.step.by =
        first == ExitReason::monitor_trap_flag ? StepBy::monitor_trap_flag : StepBy::trap_flag;
    return entered_at;
}

}  // namespace hvp::vmx
