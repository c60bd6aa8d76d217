// The CPUID leaves that `Features` comes from.  [Intel: CPUID instruction, SDM volume 2A]
#include "lab/nt/hal/features.hpp"

#include "hypervisor/arch/instructions.hpp"

namespace hvp::lab::hal {
namespace {

constexpr bool bit(std::uint32_t word, int number) {
    return (word >> number & 1) != 0;
}

}  // namespace

Features detect_features() {
    Features features;
    const auto basic = arch::cpuid(1);
    features.vmx = bit(basic.ecx, 5);
    features.pcid = bit(basic.ecx, 17);
    if (arch::cpuid(0).eax >= 7) {
        const auto structured = arch::cpuid(7);
        features.fsgsbase = bit(structured.ebx, 0);
        features.smep = bit(structured.ebx, 7);
        features.smap = bit(structured.ebx, 20);
        features.umip = bit(structured.ecx, 2);
        features.invpcid = bit(structured.ebx, 10);
        const bool shadow_stacks = bit(structured.ecx, 7);
        const bool branch_tracking = bit(structured.edx, 20);
        features.cet = shadow_stacks || branch_tracking;
    }
    const auto extended = arch::cpuid(0x8000'0001);
    features.syscall = bit(extended.edx, 11);
    features.execute_disable = bit(extended.edx, 20);
    features.rdtscp = bit(extended.edx, 27);
    constexpr int xsave = 26;
    if (bit(basic.ecx, xsave)) {
        features.extended_states = arch::cpuid(0xD).eax;
        const auto more = arch::cpuid(0xD, 1);
        features.has_xinuse = bit(more.eax, 2);
        features.xsaves = bit(more.eax, 3);
        features.supervisor_states = std::uint64_t{more.edx} << 32 | more.ecx;
    }
    return features;
}

}  // namespace hvp::lab::hal
