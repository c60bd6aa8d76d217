// A guest's life on one processor, as one call: VMXON, the VMCS, VM entry, the exits, VMXOFF.
//
// stages/guest-state shows the same steps one by one, and why each is there. Here they have a place
// for what later guests get in addition: an EPT, a VPID, exits at exceptions or interrupts. The
// memory comes from outside, as do its addresses: this file knows no operating system.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/ept/pointer.hpp"
#include "hypervisor/vcpu/timestamps.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmx/capabilities.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

/// What a session works on, and the platform owns.
struct SessionMemory {
    ProcessorRegion region;
    std::uint64_t host_cr3;  ///< of page tables that map the VMM's code and what it works on
    std::byte* guest_stack_end;
};

/// Finds out by which means this processor makes single steps, and notes it in the virtual
/// processor; see `choose_step` in hypervisor/exits/single_step.hpp.
///
/// Returns  the time-stamp counter when the guest that it runs for that was entered
/// Where    VMX root operation, no VMCS current
using ChooseStep = std::expected<std::uint64_t, Failure> (*)(const ProcessorRegion& region,
                                                             const arch::ProcessorState& host,
                                                             std::byte* stack_end,
                                                             std::uint64_t host_cr3);

class Session;

/// Something that a guest gets in addition: a function that adds it to the VMCS, and its parameter.
/// A driver contains only those that it names, and may bring its own.
struct Feature {
    /// Where    VMX root operation, after `write_vmcs` and the EPT, the VMCS current
    std::expected<void, Failure> (*add)(Session& session, std::uint64_t parameter){};
    std::uint64_t parameter{};
};

/// Translations of this guest have this tag, where the processor has VPIDs. Needs an EPT.
[[nodiscard]] Feature vpid(std::uint16_t number);
/// A page for the page-modification log. Needs an EPT with accessed and dirty flags, and a handler
/// for a full log: the VMM's own table has none, so that exit would be the guest's end.
[[nodiscard]] Feature write_log(arch::HostPhysicalAddress page);
/// The guest may switch paging and protection off, where the processor allows it. Needs an EPT.
[[nodiscard]] Feature unrestricted_guest();
/// External interrupts exit, and HLT sleeps.
[[nodiscard]] Feature interrupt_exiting();

/// What the guest has. As it stands here: code and a stack.
struct GuestOptions {
    std::byte* stack_end{};  ///< its own stack instead of the session's
    /// The EPTs that its exits may give it; it starts on the first. None: guest-physical addresses
    /// are host-physical addresses.
    std::array<std::optional<ept::Pointer>, 3> epts{};
    std::array<Feature, 3> features{};
    std::uint32_t exceptions{};  ///< which exceptions exit, by vector
    ChooseStep choose_step{};    ///< the guest is single-stepped
    bool departs{};              ///< left, it goes on as what it is: see departure.hpp
    void (*exit_code)(){};       ///< HOST_RIP instead of the VMM's own: finds a VmmFrame at RSP
};

/// The guests of one virtual processor, one after the other.
class Session {
public:
    /// Constructs what lies in the memory; see `prepare`.
    Session(const SessionMemory& memory, const VmxCapabilities& capabilities, const ExitPath& path);

    /// The exits of the guests to come go this way.
    void use_exit_path(const ExitPath& path) { set_exit_path(vmm(), path); }

    /// For the runs to come.
    GuestOptions options;

    /// Runs a guest until its VMM leaves it. The processor is then as it was before.
    ///
    /// Needs    `code` does not return. A guest that departs ends by `hvp_end_departed_guest` once
    ///          `processor().departed` says so
    /// Returns  why the VMM left the guest; a Failure if there was no VM entry
    /// Where    outside VMX operation, on a processor that the calling thread cannot leave
    [[nodiscard]] std::expected<GuestStop, Failure> run(void (*code)(void*), void* argument);

    [[nodiscard]] ProcessorMemory& vmm() const { return *memory_.region.memory; }
    /// Also has what the guest got of its features: `vpid`, `write_log`, `unrestricted`, `step.by`.
    [[nodiscard]] VirtualProcessor& processor() const { return vmm().processor; }
    /// Of the last run.
    [[nodiscard]] const Timestamps& timestamps() const { return timestamps_; }

private:
    [[nodiscard]] std::byte* stack_end() const;
    [[nodiscard]] std::expected<void, Failure> add_options();

    SessionMemory memory_;
    VmxCapabilities capabilities_;
    Timestamps timestamps_{};
};

}  // namespace hvp::vmx
