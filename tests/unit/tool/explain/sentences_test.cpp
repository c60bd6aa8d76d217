// Every sentence about how a VM entry went: all of them are walked here.
#include "tool/explain/texts/sentences.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "hypervisor/vmcs/exit_reason.hpp"
#include "hypervisor/vmcs/instruction_error.hpp"

namespace hvp::tool {
namespace {

using testing::HasSubstr;
using testing::Not;
using vmx::checks::item;

const ModelProcessor& skylake() {
    static const ModelProcessor model = *ModelProcessor::of("corei7_skylake_x");
    return model;
}

struct Said {
    std::string headline;
    std::string words;
    EntryOutcome outcome;
    ExitStatus status;
};
Said said_of(const VmcsImage& image) {
    const Judged judged{image, skylake()};
    const Explanation explanation = explain_image(judged);
    return {headline(judged, explanation), what_the_processor_said(judged), judged.said().outcome,
            status_of(judged, explanation)};
}

void expect_a_sentence(const std::string& text) {
    EXPECT_TRUE(text.ends_with('.')) << text;
    EXPECT_THAT(text, Not(HasSubstr("  "))) << text;
    EXPECT_THAT(text, Not(HasSubstr("..")));
    EXPECT_THAT(text, Not(HasSubstr("unknown")));
}

TEST(Sentences, OfEveryExitReason) {
    for (const vmx::ExitReasonFacts& reason : vmx::exit_reasons) {
        VmcsImage image;
        image.set(item(vmx::exit_reason), vmx::number_of(reason.reason));
        image.set(item(vmx::exit_interruption_information), 0x8000'0300);
        const Said said = said_of(image);
        SCOPED_TRACE(reason.name);
        expect_a_sentence(said.headline);
        expect_a_sentence(said.words);
        EXPECT_THAT(said.words, HasSubstr(std::string{reason.name}));
        const bool is_failure = reason.reason == vmx::ExitReason::invalid_guest_state ||
                                reason.reason == vmx::ExitReason::msr_loading ||
                                reason.reason == vmx::ExitReason::machine_check_event;
        EXPECT_EQ(said.status, is_failure ? ExitStatus::failed : ExitStatus::passed);
        EXPECT_THAT(said.headline,
                    HasSubstr(is_failure ? "VM entry failed" : "The last VM entry had worked"));
        EXPECT_EQ(said.words.contains("VMfail leaves the exit reason as it was"), !is_failure);
    }
}

// [SDM 3C 30.4 "VM Instruction Error Numbers"]
TEST(Sentences, OfEveryVmInstructionError) {
    std::set<std::string_view> advices;
    for (std::uint32_t error = 1; error < vmx::list_instruction_errors().size(); ++error) {
        if (vmx::list_instruction_errors()[error].empty()) {
            continue;
        }
        VmcsImage image;
        image.set(item(vmx::vm_instruction_error), error);
        const Said said = said_of(image);
        SCOPED_TRACE(error);
        expect_a_sentence(said.headline);
        expect_a_sentence(said.words);
        EXPECT_THAT(said.words, HasSubstr(vmx::instruction_error_name(error)));
        const bool is_of_entry = is_error_of_vm_entry(error);
        EXPECT_EQ(said.outcome == EntryOutcome::refused, is_of_entry);
        EXPECT_EQ(said.status, is_of_entry ? ExitStatus::failed : ExitStatus::bad_usage);
        EXPECT_EQ(advice_on_error(error).empty(), !is_of_entry);
        EXPECT_EQ(said.words.contains("it is not one of VM entry"), !is_of_entry);
        advices.insert(advice_on_error(error));
    }
    EXPECT_THAT(advice_on_error(4), HasSubstr("VMLAUNCH was executed for this VMCS before"));
    EXPECT_THAT(advice_on_error(5), HasSubstr("no VMLAUNCH of this VMCS has succeeded"));
    EXPECT_THAT(advice_on_error(7), HasSubstr("26.2.1"));
    EXPECT_GE(advices.size(), 8U);
}

TEST(Sentences, OfEveryReasonToPutARuleAside) {
    std::set<std::string> words;
    std::set<std::string_view> names;
    for (const WhyAside why :
         {WhyAside::entered, WhyAside::passed, WhyAside::model, WhyAside::guests_view}) {
        expect_a_sentence(why_aside_words(why, "corei7_skylake_x"));
        words.insert(why_aside_words(why, "corei7_skylake_x"));
        names.insert(why_aside_name(why));
    }
    EXPECT_EQ(words.size(), 4U);
    EXPECT_EQ(names.size(), 4U);
    EXPECT_THAT(why_aside_words(WhyAside::model, "m"), HasSubstr("m, the model, does not have"));
}

TEST(Sentences, OfEveryOutcome) {
    std::set<std::string_view> names;
    for (const EntryOutcome outcome :
         {EntryOutcome::unknown, EntryOutcome::never_exited, EntryOutcome::entered,
          EntryOutcome::refused, EntryOutcome::failed, EntryOutcome::guest_refused,
          EntryOutcome::msrs_refused}) {
        names.insert(outcome_name(outcome));
    }
    EXPECT_EQ(names.size(), 7U);
    VmcsImage image;
    image.set(item(vmx::exit_reason), 0);
    EXPECT_EQ(said_of(image).outcome, EntryOutcome::never_exited);
    EXPECT_THAT(said_of(image).words, HasSubstr("this VMCS had no VM exit yet"));
    image.says_it_failed = true;
    EXPECT_EQ(said_of(image).outcome, EntryOutcome::failed);
    EXPECT_EQ(said_of(image).status, ExitStatus::failed);
    EXPECT_EQ(said_of({}).outcome, EntryOutcome::unknown);
    EXPECT_EQ(said_of({}).words, "");
    EXPECT_EQ(said_of({}).status, ExitStatus::bad_usage);
}

// Why the first rule was put aside; nothing if none was.
std::optional<WhyAside> first_why(const Judged& judged) {
    const Explanation explanation = explain_image(judged);
    return explanation.aside.empty() ? std::nullopt : std::optional{explanation.aside.front().why};
}

// The group of checks that fails tells what was found good before it.
TEST(Sentences, PutRulesAsideThatTheProcessorGotPast) {
    VmcsImage image;
    image.set(item(vmx::guest_rflags), 0);
    image.set(item(vmx::exit_reason), 0x8000'0022);  // MSR loading comes after the guest state
    const Judged late{image, skylake()};
    EXPECT_THAT(explain_image(late).broken, testing::IsEmpty());
    EXPECT_EQ(first_why(late), WhyAside::passed);
    image.set(item(vmx::exit_reason), 0x8000'0021);
    const Judged early{image, skylake()};
    EXPECT_EQ(explain_image(early).broken.size(), 1U);
    image.set(item(vmx::exit_reason), 12);
    const Judged entered{image, skylake()};
    EXPECT_THAT(explain_image(entered).broken, testing::IsEmpty());
    EXPECT_EQ(first_why(entered), WhyAside::entered);
    // A guest that knows nothing of VMX reads CR4.VMXE as 0, and the VMM writes 1.
    VmcsImage registers;
    registers.set(item(vmx::guest_cr4), 0x20);
    const Judged vmcs{registers, skylake()};
    EXPECT_EQ(explain_image(vmcs).broken.size(), 1U);
    registers.has_guests_view = true;
    const Judged view{registers, skylake()};
    EXPECT_THAT(explain_image(view).broken, testing::IsEmpty());
}

// What only the default model lacks is no error; what no processor has is one, and so is what the
// processor that was named lacks.
TEST(Sentences, DoNotTakeTheModelForTheDumpsProcessor) {
    VmcsImage image;
    image.set(item(vmx::guest_cr4), 0x2000 | 1 << 11);  // VMXE, UMIP
    const Judged any{image, skylake()};
    EXPECT_THAT(explain_image(any).broken, testing::IsEmpty());
    EXPECT_EQ(first_why(any), WhyAside::model);
    const Judged named{image, skylake(), ModelIs::known};
    EXPECT_EQ(explain_image(named).broken.size(), 1U);
    image.set(item(arch::Msr::vmx_cr4_fixed1), 0x37'27FF);
    const Judged told{image, skylake()};
    EXPECT_EQ(explain_image(told).broken.size(), 1U);
    VmcsImage reserved;
    reserved.set(item(vmx::guest_cr4), 0x2000 | 1 << 15);
    const Judged nobody{reserved, skylake()};
    EXPECT_EQ(explain_image(nobody).broken.size(), 1U);
}

}  // namespace
}  // namespace hvp::tool
