// What a VM exit was about, in words: the leaf of a CPUID, the MSR, the control register.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tool/record/event.hpp"

namespace hvp::tool {

/// Needs    a driver's event VmExit; `detail` is optional in it.
/// Returns  for instance "leaf 0x40000000" or "MOV from CR3"; empty where there is nothing to say
/// Source   [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-3]
[[nodiscard]] std::string exit_details(const Event& exit);

/// Names of a guest's calls to its VMM, by the number in RAX at VMCALL.
using HypercallNames = std::map<std::uint64_t, std::string>;

/// Returns  the whole exit in few words: "HLT", "CPUID (leaf 0x1)", "MOV from CR3 to RAX",
///          "VMCALL (stop)"; with the bare qualification where we cannot read it
[[nodiscard]] std::string exit_words(const Event& exit, const HypercallNames& hypercalls);

/// Returns  an exception's mnemonic, "#UD", or "exception 9" where it has none
[[nodiscard]] std::string exception_name(std::uint64_t vector);

/// Returns  what the entry behind the exit gives the guest: "#UD", "NMI", "interrupt 0xd1"; empty
/// where
///          that is nothing, or not told
/// Source   [SDM 3C 24.8.3 "VM-Entry Controls for Event Injection", Table 24-13]
[[nodiscard]] std::string injected_event(const Event& exit);

}  // namespace hvp::tool
