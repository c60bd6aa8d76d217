#include "stages/launch/journal.hpp"

#include "platform/windows/events.hpp"
#include "stages/launch/collatz.hpp"

namespace hvp::launch {

namespace {

using windows::print_event;

void tell_exit(const Journal& journal) {
    const ExitNote& exit = *journal.exit;
    const char* const reason = vmx::exit_reason_name(exit.reason.basic_reason);
    if (exit.reason.entry_failure != 0) {
        print_event("EntryFailure reason=\"%s\" reason_number=%u qualification=0x%llx at=0x%llx\n",
                    reason, exit.reason.basic_reason, exit.qualification, exit.at);
        return;
    }
    const Conversation& conversation = journal.conversation;
    print_event("VmEntry at=0x%llx\n", journal.vm_entry_at);
    if (conversation.guest_at != 0) {
        print_event("GuestRuns rsp=0x%llx at=0x%llx\n", conversation.guest_rsp,
                    conversation.guest_at);
    }
    print_event(
        "VmExit reason=\"%s\" reason_number=%u qualification=0x%llx guest_rip=0x%llx "
        "instruction_length=%u at=0x%llx\n",
        reason, exit.reason.basic_reason, exit.qualification, exit.guest_rip,
        exit.instruction_length, exit.at);
}

}  // namespace

void tell(const Journal& journal, const std::expected<void, vmx::Failure>& outcome) {
    if (journal.basic) {
        windows::print_supported(*journal.basic, journal.supported_at);
    }
    if (journal.vmxon_at != 0) {
        print_event("VmxOn at=0x%llx\n", journal.vmxon_at);
    }
    if (journal.exit) {
        tell_exit(journal);
    }
    if (journal.vmxoff_at != 0) {
        print_event("VmxOff at=0x%llx\n", journal.vmxoff_at);
    }
    if (outcome) {
        print_event("GuestProof asked=%llu answered=%llu expected=%llu\n",
                    journal.conversation.asked, journal.conversation.answered,
                    collatz_steps(journal.conversation.asked));
    } else {
        windows::print_failure(outcome.error());
    }
}

}  // namespace hvp::launch
