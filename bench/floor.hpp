// What exits are measured against: exit handlers written by hand, with nothing superfluous.
#pragma once

#include <cstdint>

#include "hypervisor/vcpu/exit_path.hpp"

namespace hvp::bench {

extern "C" {

/// HOST_RIP of the floor: CPUID as the VMM of hypervisor/ handles it, with the same answers, all
/// registers, RIP, the blocking of events and single steps as they must be; no table, no counter,
/// no C++. Any other exit leaves the guest. Never called.
void hvp_bench_floor_exit();

/// What VmmFrame::resume is for it, as it leaves the guest's registers in the processor.
vmx::ExitFunction hvp_bench_floor_resume;

/// HOST_RIP of the bare minimum: four registers, RIP plus two, CPUID. Wrong in many ways, and the
/// least that lets a guest go on. Any other exit leaves the guest. Never called.
void hvp_bench_bare_exit();

/// Executes CPUID with RFLAGS.TF set.
///
/// Needs    a gate for #DB that leads to `hvp_bench_on_debug`
/// Returns  how far after the CPUID the debug exception came, in bytes; -1: it did not come
std::int64_t hvp_bench_step_over_cpuid();

/// Executes VMXOFF, which raises #UD for a guest.
///
/// Needs    a gate for #UD that leads to `hvp_bench_on_invalid_opcode`
void hvp_bench_vmxoff();

/// The handler of #UD for it: goes on after the VMXOFF. Never called.
void hvp_bench_on_invalid_opcode();

/// The handler of #DB for `hvp_bench_step_over_cpuid`. Never called.
void hvp_bench_on_debug();

}  // extern "C"

}  // namespace hvp::bench
