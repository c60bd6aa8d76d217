#include "tool/explain/texts/sentences.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "hypervisor/vmcs/exit_reason.hpp"
#include "hypervisor/vmcs/instruction_error.hpp"
#include "tool/record/words/qualification_words.hpp"

namespace hvp::tool {
namespace {

std::string_view rules_word(std::size_t count) {
    return count == 1 ? "rule" : "rules";
}

// "of the 266 rules that could be checked none is broken; 32 could not be checked"
std::string none_is_broken(const Explanation& explanation) {
    const std::size_t checked = explanation.checked();
    const std::size_t unchecked = explanation.unchecked.size();
    if (checked == 0) {
        return fmt::format("none of the {} rules could be checked", rule_count);
    }
    const std::string_view none =
        explanation.aside.empty() ? "none is broken" : "none is broken for certain";
    return unchecked == 0
               ? fmt::format("all {} {} were checked, and {}", checked, rules_word(checked), none)
               : fmt::format("of the {} {} that could be checked {}; {} could not be checked",
                             checked, rules_word(checked), none, unchecked);
}

struct ErrorAdvice {
    std::uint32_t error;
    std::string_view words;
};
// [SDM 3C 30.4 "VM Instruction Error Numbers"], [SDM 3C 26.1 "Basic VM-Entry Checks"]
constexpr auto error_advice = std::to_array<ErrorAdvice>({
    {4,
     "The launch state is \"launched\": VMLAUNCH was executed for this VMCS before. Execute "
     "VMRESUME, or VMCLEAR first."},
    {5,
     "The launch state is \"clear\": no VMLAUNCH of this VMCS has succeeded since VMCLEAR. Execute "
     "VMLAUNCH."},
    {6,
     "VMX operation was left with VMXOFF and entered again, and the VMCS was active all the time. "
     "Execute VMCLEAR before VMXOFF."},
    {7,
     "A control field, or several, breaks a rule: ./playground rules 26.2.1 shows them. The guest "
     "state was not yet looked at."},
    {8,
     "A host-state field breaks a rule: ./playground rules 26.2.2, 26.2.3 and 26.2.4 show them. "
     "The guest state was not yet looked at."},
    {16, "It concerns VM entry in SMM: see 26.2.1.3 and 34.15.4 of the manual."},
    {17, "It concerns VM entry in SMM: see 34.15.4 of the manual."},
    {18, "It concerns VM entry in SMM: see 34.15.4 of the manual."},
    {25, "It concerns VM entry in SMM: see 34.15.4 of the manual."},
    {26,
     "The instruction before VMLAUNCH or VMRESUME was MOV SS or POP SS. Put another one between "
     "them."},
});

std::string refused_words(const WhatEntrySaid& said) {
    std::string words =
        fmt::format("The processor said: VM-instruction error {}, {}. {}", said.instruction_error,
                    vmx::instruction_error_name(said.instruction_error),
                    advice_on_error(said.instruction_error));
    if (said.exit_is_older) {
        words += fmt::format(
            " The exit reason {} ({}) is of an earlier VM exit then: VMfail does not change it. If "
            "it "
            "is the error that is older, the VM entry had worked.",
            static_cast<unsigned>(said.exit->basic_reason),
            vmx::exit_reason_name(said.exit->basic_reason));
    }
    return words;
}

std::string exit_words(const WhatEntrySaid& said) {
    const std::string exit = fmt::format("The processor said: exit {}, {}",
                                         static_cast<unsigned>(said.exit->basic_reason),
                                         vmx::exit_reason_name(said.exit->basic_reason));
    if (!said.qualification) {
        return exit + ".";
    }
    const std::string about = qualification_words(said.exit->basic(), *said.qualification);
    return fmt::format("{}; qualification {:#x}{}.", exit, *said.qualification,
                       about.empty() ? "" : " (" + about + ")");
}

}  // namespace

std::string_view advice_on_error(std::uint32_t error) {
    const auto* const row = std::ranges::find(error_advice, error, &ErrorAdvice::error);
    return row == error_advice.end() ? std::string_view{} : row->words;
}

std::string headline(const Judged& judged, const Explanation& explanation) {
    const std::size_t count = explanation.broken.size();
    const std::size_t unchecked = explanation.unchecked.size();
    if (count != 0) {
        const std::string rest =
            unchecked == 0 ? ""
                           : fmt::format("; {} of {} could not be checked", unchecked, rule_count);
        return count == 1 ? fmt::format("VM entry fails: 1 rule is broken{}.", rest)
                          : fmt::format(
                                "VM entry fails: {} rules are broken{}. The processor stops at the "
                                "first that it meets.",
                                count, rest);
    }
    const std::string none = none_is_broken(explanation);
    switch (judged.said().outcome) {
        case EntryOutcome::refused:
        case EntryOutcome::failed:
        case EntryOutcome::guest_refused:
        case EntryOutcome::msrs_refused:
            return fmt::format("VM entry failed, and this dump does not show why: {}.", none);
        case EntryOutcome::entered:
            return fmt::format(
                "The last VM entry had worked: exit {}, {}, is an ordinary VM exit. "
                "As to the rules, {}.",
                static_cast<unsigned>(judged.said().exit->basic_reason),
                vmx::exit_reason_name(judged.said().exit->basic_reason), none);
        case EntryOutcome::unknown:
        case EntryOutcome::never_exited:
            break;
    }
    return explanation.checked() == 0 ? fmt::format("Nothing can be said: {}.", none)
                                      : fmt::format("No broken rule was found: {}.", none);
}

std::string what_the_processor_said(const Judged& judged) {
    const WhatEntrySaid& said = judged.said();
    switch (said.outcome) {
        case EntryOutcome::refused:
            return refused_words(said);
        case EntryOutcome::failed:
            return "The text says that VM entry failed, but neither exit reason nor VM-instruction "
                   "error. KVM gives it as hardware_entry_failure_reason.";
        case EntryOutcome::guest_refused:
        case EntryOutcome::msrs_refused:
            return exit_words(said);
        case EntryOutcome::entered:
            return exit_words(said) +
                   " But VMfail leaves the exit reason as it was: if VMLAUNCH or VMRESUME has set "
                   "CF "
                   "or ZF since, it is of an earlier VM exit. Take it out of the dump then, and "
                   "give "
                   "the VM-instruction error.";
        case EntryOutcome::never_exited:
            return "The exit reason is 0 without an exception: this VMCS had no VM exit yet.";
        case EntryOutcome::unknown:
            return said.instruction_error == 0
                       ? ""
                       : fmt::format(
                             "The dump has VM-instruction error {}, {}: it is not one of VM "
                             "entry, but of the last VMX instruction that failed. Reading an "
                             "unsupported field for the dump overwrites the error before.",
                             said.instruction_error,
                             vmx::instruction_error_name(said.instruction_error));
    }
    return "";
}

std::string why_aside_words(WhyAside why, std::string_view model) {
    switch (why) {
        case WhyAside::entered:
            return "The VM entry had worked with them; a VMM may also have changed a field since.";
        case WhyAside::passed:
            return fmt::format(
                "The failure is of a later group of checks, so the processor got past "
                "them: it is another processor than {}. Give its capability MSRs in "
                "the dump, or --model.",
                model);
        case WhyAside::model:
            return fmt::format(
                "{}, the model, does not have this; the processor of the dump may. Its "
                "capability MSRs decide: give them in the dump, or --model.",
                model);
        case WhyAside::guests_view:
            return "These registers are what the guest reads. A VMM adds the bits that VMX "
                   "operation "
                   "demands (CR0.NE, CR4.VMXE) to what it writes into the VMCS.";
    }
    return "";
}

std::string_view why_aside_name(WhyAside why) {
    switch (why) {
        case WhyAside::entered:
            return "entered";
        case WhyAside::passed:
            return "passed";
        case WhyAside::model:
            return "model";
        case WhyAside::guests_view:
            return "guests view";
    }
    return "";
}

std::string_view outcome_name(EntryOutcome outcome) {
    switch (outcome) {
        case EntryOutcome::unknown:
            return "unknown";
        case EntryOutcome::never_exited:
            return "never exited";
        case EntryOutcome::entered:
            return "entered";
        case EntryOutcome::refused:
            return "VMfail";
        case EntryOutcome::failed:
            return "failed";
        case EntryOutcome::guest_refused:
            return "failed at the guest state";
        case EntryOutcome::msrs_refused:
            return "failed at MSR loading";
    }
    return "";
}

ExitStatus status_of(const Judged& judged, const Explanation& explanation) {
    if (is_a_failure(judged, explanation)) {
        return ExitStatus::failed;
    }
    const bool says_something =
        explanation.checked() != 0 || judged.said().outcome == EntryOutcome::entered;
    return says_something ? ExitStatus::passed : ExitStatus::bad_usage;
}

}  // namespace hvp::tool
