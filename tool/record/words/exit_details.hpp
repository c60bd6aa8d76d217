// What a VM exit was about, in words: the leaf of a CPUID, the MSR, the control register.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "hypervisor/vmcs/exit_reason.hpp"
#include "tool/record/event.hpp"

namespace hvp::tool {

/// What is known about a VM exit.
struct ExitNumbers {
    vmx::ExitReason reason{};
    std::uint64_t qualification = 0;
    std::optional<std::uint64_t> detail = {};  ///< vmx::ExitDetail says what it is

    /// Needs    a driver's event VmExit; `detail` is optional in it.
    [[nodiscard]] static ExitNumbers of(const Event& exit);
};

/// Returns  for instance "leaf 0x40000000" or "MOV from CR3 to RAX"; empty where there is nothing
/// to
///          say
/// Source   [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-3]
[[nodiscard]] std::string exit_details(const ExitNumbers& exit);

/// Names of a guest's calls to its VMM, by the number in RAX at VMCALL.
using HypercallNames = std::map<std::uint64_t, std::string>;

/// Returns  the whole exit in few words: "HLT", "CPUID (leaf 0x1)", "MOV from CR3 to RAX",
///          "VMCALL (stop)"; with the bare qualification where we cannot read it
[[nodiscard]] std::string exit_words(const Event& exit, const HypercallNames& hypercalls);

/// Returns  an exception's mnemonic, "#UD", or "exception 9" where it has none
[[nodiscard]] std::string exception_name(std::uint64_t vector);

/// Returns  what an interruption-information field describes: "#UD", "NMI", "interrupt 0xd1"; empty
///          where that is nothing
/// Source   [SDM 3C 24.8.3 "VM-Entry Controls for Event Injection", Table 24-13]
[[nodiscard]] std::string event_words(std::uint64_t information);

/// Returns  what the entry after the exit gives the guest; empty where that is nothing, or not
///          reported
[[nodiscard]] std::string injected_event(const Event& exit);

}  // namespace hvp::tool
