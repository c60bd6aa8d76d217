#include "stages/guest-state/journal.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "hypervisor/vmx/exit_reason.hpp"
#include "platform/windows/events.hpp"

namespace hvp::guest_state {
namespace {

using windows::print_event;

void tell_exit(const trace::ExitEvent& event) {
    const auto reason = std::bit_cast<vmx::ExitReasonField>(event.reason);
    const char* const name = vmx::exit_reason_name(reason.basic_reason);
    if (reason.entry_failure != 0) {
        print_event("EntryFailure reason=\"%s\" reason_number=%u qualification=0x%llx at=0x%llx\n",
                    name, reason.basic_reason, event.qualification, event.exit_at);
        return;
    }
    print_event(
        "VmExit reason=\"%s\" reason_number=%u qualification=0x%llx guest_rip=0x%llx "
        "instruction_length=%u detail=0x%llx sequence=%u at=0x%llx\n",
        name, reason.basic_reason, event.qualification, event.guest_rip, event.instruction_length,
        event.detail, event.sequence, event.exit_at);
    if (event.entry_at != 0) {
        print_event("VmEntry at=0x%llx\n", event.entry_at);
    }
}

const char* name_of(vmx::End end) {
    switch (end) {
        case vmx::End::none:
            return "nothing";
        case vmx::End::stopped_by_guest:
            return "it asked to be stopped";
        case vmx::End::unhandled_exit:
            return "no handler knows this exit reason";
        case vmx::End::unhandled_detail:
            return "the handler does not know this form of the exit";
        case vmx::End::triple_fault:
            return "triple fault";
        case vmx::End::entry_refused:
            return "VM entry was refused";
        case vmx::End::entry_failed:
            return "VM entry failed";
        case vmx::End::exception_in_vmm:
            return "an exception in the VMM";
    }
    return "unknown";
}

void tell_ending(const vmx::Ending& ending) {
    if (ending.end == vmx::End::exception_in_vmm) {
        const vmx::HostTrapReport& trap = ending.trap;
        print_event(
            "HostException vector=%llu error_code=0x%llx rip=0x%llx rsp=0x%llx cr2=0x%llx "
            "during=\"%s\"\n",
            trap.vector, trap.error_code, trap.rip, trap.rsp, trap.cr2,
            vmx::exit_reason_name(ending.reason.basic_reason));
    }
    print_event("GuestEnded why=\"%s\" reason=\"%s\" guest_rip=0x%llx\n", name_of(ending.end),
                vmx::exit_reason_name(ending.reason.basic_reason), ending.guest_rip);
}

/// Guest and VMM each have summed up the registers at every exit: do they speak of the same values?
std::uint64_t count_same_sums(const Conversation& conversation, std::uint64_t sum,
                              std::uint64_t exit) {
    return exit < conversation.steps_done && conversation.steps[exit].before.sum() == sum ? 1 : 0;
}

Proof look_at(const Conversation& conversation, std::uint64_t same_sums) {
    const auto count = [&](bool (*holds)(const Step&)) {
        const auto* const first = conversation.steps.begin();
        return static_cast<std::uint64_t>(std::count_if(
            first, first + static_cast<std::ptrdiff_t>(conversation.steps_done), holds));
    };
    return {.kept_by_guest = count(registers_kept),
            .same_for_vmm = same_sums,
            .answers_right = count(answered_right)};
}

}  // namespace

Proof tell(const Journal& journal, vmx::VirtualProcessor& processor) {
    windows::print_supported(journal.basic, journal.supported_at);
    print_event("VmxOn at=0x%llx\n", journal.vmxon_at);
    print_event("VmEntry at=0x%llx\n", journal.vm_entry_at);
    std::uint64_t same_sums = 0;
    std::uint64_t exits = 0;
    trace::ExitEvent event{};
    while (processor.ring->read(event)) {
        tell_exit(event);
        same_sums += count_same_sums(journal.conversation, event.registers, exits++);
    }
    if (processor.ring->dropped() != 0) {
        print_event("EventsDropped count=%llu\n", processor.ring->dropped());
    }
    tell_ending(processor.ending);
    print_event("VmxOff at=0x%llx\n", journal.left_at);
    const Proof proof = look_at(journal.conversation, same_sums);
    print_event(
        "RegistersProof steps=%llu kept_by_guest=%llu same_for_vmm=%llu answers_right=%llu\n",
        static_cast<std::uint64_t>(step_count), proof.kept_by_guest, proof.same_for_vmm,
        proof.answers_right);
    return proof;
}

}  // namespace hvp::guest_state
