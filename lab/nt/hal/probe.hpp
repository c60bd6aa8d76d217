// Instructions that may fault because the processor lacks what they access. They are executed, and
// the trap handler, which knows their addresses (is_probe), turns a fault into the result false.
#pragma once

#include <cstdint>

namespace hvp::lab::hal {

extern "C" {

/// RDMSR. False: the processor has no such MSR (#GP).
[[nodiscard]] bool probe_rdmsr(std::uint32_t msr, std::uint64_t* value);

/// WRMSR. False: no such MSR, or not this value (#GP).
[[nodiscard]] bool probe_wrmsr(std::uint32_t msr, std::uint64_t value);

/// VMPTRST. False: not in VMX operation (#UD).
/// [SDM 3C 30.3 "VMX Instructions"] VMPTRST
[[nodiscard]] bool probe_vmptrst(std::uint64_t* region);
}

/// Whether the instruction at this address is one of the three.
[[nodiscard]] bool is_probe(std::uint64_t rip);

/// Where a probe that has faulted continues.
[[nodiscard]] std::uint64_t probe_failure();

}  // namespace hvp::lab::hal
