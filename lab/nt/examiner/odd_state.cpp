// Legal and unusual values.
#include "lab/nt/examiner/odd_state.hpp"

#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/hal/probe.hpp"

namespace hvp::lab::examiner {

void make_state_odd() {
    // Four breakpoints on execution in the user's half, where nothing is ever executed.
    arch::write_dr<0>(0x7000'0000'1000);
    arch::write_dr<1>(0x7000'0000'2000);
    arch::write_dr<2>(0x7000'0000'3000);
    arch::write_dr<3>(0x7000'0000'4000);
    constexpr std::uint64_t all_four_local = 0x455;
    arch::write_dr7(all_four_local);
    arch::wrmsr(arch::Msr::fs_base, 0x7FFD'E000);
    arch::wrmsr(arch::Msr::sysenter_cs, 0x10);
    arch::wrmsr(arch::Msr::sysenter_esp, 0xFFFF'F880'0000'0E50);
    arch::wrmsr(arch::Msr::sysenter_eip, 0xFFFF'F800'0000'0E10);
    constexpr std::uint64_t last_branch_recording = 1;
    (void)hal::probe_wrmsr(static_cast<std::uint32_t>(arch::Msr::debugctl), last_branch_recording);
}

}  // namespace hvp::lab::examiner
