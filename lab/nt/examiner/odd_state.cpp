// Legal and unusual values.
#include "lab/nt/examiner/odd_state.hpp"

#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/hal/probe.hpp"
#include "lab/nt/ke/current_processor.hpp"
#include "lab/nt/ke/ipi.hpp"

namespace hvp::lab::examiner {

namespace {

void make_this_one_odd(void* /*unused*/) {
    const std::uint64_t number = ke::current_processor_number();
    // Four breakpoints on execution in the user's half, where nothing is ever executed.
    const std::uint64_t code = 0x7000'0000'0000 + number * 0x10'0000;
    arch::write_dr<0>(code + 0x1000);
    arch::write_dr<1>(code + 0x2000);
    arch::write_dr<2>(code + 0x3000);
    arch::write_dr<3>(code + 0x4000);
    constexpr std::uint64_t always_one = 0x400;
    constexpr std::uint64_t all_four_local = 0x55;
    arch::write_dr7(always_one | all_four_local >> 2 * (number % 4));
    arch::wrmsr(arch::Msr::fs_base, 0x7FFD'E000 - number * 0x2000);
    arch::wrmsr(arch::Msr::sysenter_cs, 0x10 + number * 8);
    arch::wrmsr(arch::Msr::sysenter_esp, 0xFFFF'F880'0000'0E50 + number * 0x1000);
    arch::wrmsr(arch::Msr::sysenter_eip, 0xFFFF'F800'0000'0E10 + number * 0x1000);
    const std::uint64_t last_branch_recording_and_branch_steps = 1 + number % 2 * 2;
    (void)hal::probe_wrmsr(static_cast<std::uint32_t>(arch::Msr::debugctl),
                           last_branch_recording_and_branch_steps);
    const std::uint64_t counters_on = 1 + number % 3;
    (void)hal::probe_wrmsr(static_cast<std::uint32_t>(arch::Msr::perf_global_ctrl), counters_on);
    (void)hal::probe_wrmsr(static_cast<std::uint32_t>(arch::Msr::pebs_enable), counters_on);
}

}  // namespace

void make_states_odd() {
    ke::run_on_every_processor(make_this_one_odd, nullptr);
}

}  // namespace hvp::lab::examiner
