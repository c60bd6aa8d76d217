#include "tool/run/verdict.hpp"

#include <gtest/gtest.h>

#include <regex>

#include "tool/run/verdict_sentences.hpp"

namespace hvp::tool {
namespace {

// A run that passed, unless a test changes something.
struct Case {
    lab::EmulatorOutcome outcome;
    Timeline timeline{100};
    WitnessReport witnesses{.answer = "agree", .disagreement = {}};
    AddressNames names;
    std::string emulator = "Bochs 2.7";
    bool all_halted = false;
    std::string panic = "Shutdown port: shutdown requested";

    void lab(std::string name, Json fields) {
        timeline.add({.t = 5,
                      .cpu = 0,
                      .from = "lab",
                      .name = std::move(name),
                      .fields = std::move(fields)});
    }
    void driver(std::string name, Json fields) {
        timeline.add({.t = 4,
                      .cpu = 0,
                      .from = "driver",
                      .name = std::move(name),
                      .fields = std::move(fields)});
    }
    void processor(std::string name, Json fields) {
        timeline.add({.t = 3,
                      .cpu = 0,
                      .from = "processor",
                      .name = std::move(name),
                      .fields = std::move(fields)});
    }
    [[nodiscard]] Verdict judged() const {
        return judge({.outcome = outcome,
                      .timeline = timeline,
                      .witnesses = witnesses,
                      .names = names,
                      .driver_file = "x.sys",
                      .emulator = emulator,
                      .panic = panic,
                      .all_halted = all_halted,
                      .timeout_ticks = 2'000'000'000});
    }
};

Case with_summary(const char* result, const char* status = "0x00000000") {
    Case c;
    c.lab("Summary", {{"result", result}, {"status", status}});
    return c;
}

// "bugcheck" is the name in summary.json, which programs read.
TEST(Verdict, ABugCheckIsTwoWordsForPeople) {
    EXPECT_EQ(result_name(Result::bugcheck), "bugcheck");
    EXPECT_EQ(result_words(Result::bugcheck), "bug check");
    EXPECT_EQ(result_words(Result::refused), "refused");
}

TEST(Verdict, Passed) {
    const Verdict verdict = with_summary("passed").judged();
    EXPECT_EQ(verdict.result, Result::passed);
    EXPECT_EQ(verdict.reason, "");
}

TEST(Verdict, WitnessesThatDisagreeFailAPassedRun) {
    Case c = with_summary("passed");
    c.witnesses = {.answer = "disagree", .disagreement = "exit 1 of processor 0: ..."};
    EXPECT_EQ(c.judged().result, Result::failed);
    EXPECT_EQ(c.judged().reason, "witnesses disagree: exit 1 of processor 0: ...");
}

TEST(Verdict, RefusedWithTheDriversOwnReason) {
    Case c = with_summary("refused", "0xC00000BB");
    c.timeline.add({.t = 1,
                    .cpu = 0,
                    .from = "driver",
                    .name = "Failure",
                    .fields = {{"step", "CPUID"}, {"rule", "SDM 3C 23.6"}, {"remedy", "none"}}});
    EXPECT_EQ(c.judged().result, Result::refused);
    EXPECT_EQ(c.judged().reason, "x.sys refused to start with STATUS_NOT_SUPPORTED: CPUID");
    EXPECT_EQ(c.judged().rule, "SDM 3C 23.6");
}

// It ran, and so it did not refuse to start: whatever DriverEntry returns, and clean as all is.
TEST(Verdict, AFailureAfterVmlaunchIsNoRefusal) {
    Case c = with_summary("refused", "0xC0000001");
    c.processor("VmLaunch", {{"vmcs", "0x1000"}});
    EXPECT_EQ(c.judged().result, Result::failed);
    EXPECT_EQ(c.judged().reason, "DriverEntry returned STATUS_UNSUCCESSFUL after VMLAUNCH");

    // Without a current VMCS the emulator logs only this.
    Case without_vmcs = with_summary("refused", "0xC0000001");
    without_vmcs.processor("VmFail", {{"text", "VMFAIL: VMLAUNCH with invalid VMCS ptr !"}});
    EXPECT_EQ(without_vmcs.judged().result, Result::failed);

    Case before_vmlaunch = with_summary("refused", "0xC0000001");
    before_vmlaunch.processor("VmFail", {{"text", "VMXON: VMX ptr is not aligned"}});
    EXPECT_EQ(before_vmlaunch.judged().result, Result::refused);
}

// With --no-processor-log the driver's own events say that it ran.
TEST(Verdict, WithoutAProcessorsLogTheDriversExitsCount) {
    for (const char* name : {"VmExit", "EntryFailure"}) {
        Case c = with_summary("refused", "0xC0000001");
        c.driver(name, {{"reason", "HLT"}});
        EXPECT_EQ(c.judged().result, Result::failed) << name;
    }
}

TEST(Verdict, AGuestThatWasLeftEarlySaysWhy) {
    Case c = with_summary("refused", "0xC0000001");
    c.processor("VmLaunch", {});
    c.driver("GuestEnded", {{"why", "no handler for this exit reason"},
                            {"reason", "XSETBV"},
                            {"guest_rip", "0x1234"}});
    c.driver("Failure", {{"step", "the guest"}, {"rule", "SDM 3C 31.7"}, {"remedy", "none"}});
    EXPECT_EQ(c.judged().reason,
              "DriverEntry returned STATUS_UNSUCCESSFUL after VMLAUNCH: the guest: no handler for "
              "this exit reason (XSETBV) at 0x1234");
}

Json refusal(const char* instruction, int number) {
    return {{"instruction", instruction},
            {"result", number == 0 ? "VMfailInvalid" : "VMfailValid"},
            {"error_number", number}};
}

// [SDM 3C 30.4 "VM Instruction Error Numbers", Table 30-1]
TEST(Verdict, ARefusedEntryIsTheVerdict) {
    struct Expectation {
        const char* instruction;
        int number;
        const char* reason;
    };
    for (const Expectation& expected : {
             Expectation{"VMLAUNCH", 0, "VMLAUNCH failed: VMfailInvalid: no VMCS was current"},
             Expectation{"VMLAUNCH", 4,
                         "VMLAUNCH failed: VM-instruction error 4, VMLAUNCH with non-clear VMCS: "
                         "the launch state of the VMCS was launched already"},
             Expectation{"VMRESUME", 5,
                         "VMRESUME failed: VM-instruction error 5, VMRESUME with non-launched "
                         "VMCS: the launch state of the VMCS was clear"},
             Expectation{"VMRESUME", 7,
                         "VMRESUME failed: VM-instruction error 7, VM entry with invalid control "
                         "field: a control field of the VMCS breaks a rule"},
             Expectation{"VMLAUNCH", 8,
                         "VMLAUNCH failed: VM-instruction error 8, VM entry with invalid "
                         "host-state field: a host-state field of the VMCS breaks a rule"},
             Expectation{"VMLAUNCH", 26,
                         "VMLAUNCH failed: VM-instruction error 26, VM entry with events blocked "
                         "by MOV SS: the instruction before had loaded SS"},
             // Only the dual-monitor treatment has it: the name alone.
             Expectation{"VMLAUNCH", 17,
                         "VMLAUNCH failed: VM-instruction error 17, VM entry with non-launched "
                         "executive VMCS"},
         }) {
        Case c = with_summary("refused", "0xC0000001");
        c.witnesses = {.answer = "disagree", .disagreement = "VM entries of processor 0"};
        c.driver("VmxInstructionFailed", refusal(expected.instruction, expected.number));
        EXPECT_EQ(c.judged().reason, expected.reason);
        EXPECT_EQ(c.judged().result, Result::failed);
        EXPECT_EQ(c.judged().rule.empty(), expected.number == 17);
        EXPECT_EQ(c.judged().remedy.empty(), expected.number == 17);
    }
}

TEST(Verdict, AnotherInstructionsFailureIsNoRefusedEntry) {
    Case c = with_summary("refused", "0xC0000001");
    c.driver("VmxInstructionFailed", refusal("VMXON", 0));
    EXPECT_EQ(c.judged().result, Result::refused);
}

TEST(Verdict, TheMostImportantComplaintComesFirst) {
    Case c = with_summary("failed");
    c.lab("Leak", {{"kind", "pool"}, {"address", "0x10"}, {"bytes", 4096}, {"tag", "Hvp1"}});
    c.lab("Finding", {{"rule", "irql"}, {"detail", "DriverEntry returned at DISPATCH_LEVEL"}});
    EXPECT_EQ(c.judged().result, Result::failed);
    EXPECT_EQ(c.judged().reason, "DriverEntry returned at DISPATCH_LEVEL (and 1 more: story.txt)");
}

TEST(Verdict, ALabThatNeverEndedIsNoSuccess) {
    EXPECT_EQ(Case{}.judged().result, Result::failed);
    Case c;
    c.panic = "physical memory exhausted";
    EXPECT_EQ(c.judged().reason, "the emulator gave up: physical memory exhausted");
}

TEST(Verdict, ATripleFaultIsABugcheck) {
    Case c;
    c.timeline.add({.t = 1234567,
                    .cpu = 2,
                    .from = "processor",
                    .name = "TripleFault",
                    .fields = {{"text", "3rd exception"}}});
    EXPECT_EQ(c.judged().result, Result::bugcheck);
    EXPECT_TRUE(
        c.judged().reason.starts_with("triple fault on processor 2 at instruction 1 234 567"));
}

TEST(Verdict, HangsAreToldApart) {
    Case c;
    c.outcome.ending = lab::Ending::timeout;
    c.outcome.evidence = "CPU0:\r\nrip: fffff800_00001234\r\n";
    EXPECT_EQ(c.judged().result, Result::hung);
    EXPECT_TRUE(
        c.judged().reason.contains("still executes after 2 000 000 000 instructions at "
                                   "0xfffff80000001234"));
    c.all_halted = true;
    EXPECT_TRUE(c.judged().reason.starts_with("all processors are halted"));
    c.outcome.ending = lab::Ending::halted;
    EXPECT_TRUE(c.judged().reason.contains("halted"));
    c.outcome.ending = lab::Ending::unresponsive;
    EXPECT_EQ(c.judged().result, Result::hung);
}

TEST(Verdict, OfSeveralProcessorsTheOneInTheDriverIsNamed) {
    Case c;
    c.outcome.ending = lab::Ending::timeout;
    c.outcome.evidence = "CPU0:\r\nrip: 00000000_00000010\r\nCPU1:\r\nrip: 00000000_00002010\r\n";
    c.names.add({.name = "ntoskrnl.exe", .base = 0, .bytes = 0x1000, .file = {}});
    c.names.add({.name = "x.sys", .base = 0x2000, .bytes = 0x1000, .file = {}});
    EXPECT_TRUE(c.judged().reason.contains(" at x.sys+0x10")) << c.judged().reason;
}

TEST(Verdict, AKilledOrUnknownEmulatorIsNamed) {
    Case killed;
    killed.outcome.killed_by = 9;
    EXPECT_TRUE(killed.judged().reason.contains("signal 9"));
    Case unknown;
    unknown.outcome.ending = lab::Ending::stopped;
    unknown.emulator = "Bochs 3.0";
    EXPECT_TRUE(unknown.judged().reason.contains("Bochs 3.0"));
    Case interrupted = with_summary("passed");
    interrupted.outcome.ending = lab::Ending::interrupted;
    EXPECT_EQ(interrupted.judged().reason, "interrupted");
}

// Seen in one run of twenty with sound support: Bochs 2.7 dies of SIGSEGV behind its own exit.
TEST(Verdict, AnEmulatorThatCrashesBehindItsEndHasToldEverything) {
    Case c = with_summary("passed");
    c.outcome.killed_by = 11;
    EXPECT_EQ(c.judged().result, Result::passed);
    EXPECT_TRUE(is_complete(c.outcome, c.timeline));  // so the witnesses are compared
}

TEST(Verdict, ABugcheckSaysWhere) {
    Case c = with_summary("bugcheck");
    c.names.add({.name = "x.sys", .base = 0x1000, .bytes = 0x1000, .file = {}});
    c.lab("BugCheck",
          {{"code", "0x0000000A"}, {"name", "IRQL_NOT_LESS_OR_EQUAL"}, {"rip", "0x1100"}});
    EXPECT_EQ(c.judged().reason, "bug check 0x0000000A IRQL_NOT_LESS_OR_EQUAL; at x.sys+0x100");
}

/// Cases of machines that did not come to their end, by the sentence of the table.
Case unfinished_case_of(VerdictId id) {
    Case c;
    switch (id) {
        case VerdictId::interrupted:
            c.outcome.ending = lab::Ending::interrupted;
            return c;
        case VerdictId::never_woken:
            c.all_halted = true;
            [[fallthrough]];
        case VerdictId::still_executing:
            c.outcome.ending = lab::Ending::timeout;
            return c;
        case VerdictId::halted:
            c.outcome.ending = lab::Ending::halted;
            return c;
        case VerdictId::unresponsive:
            c.outcome.ending = lab::Ending::unresponsive;
            return c;
        case VerdictId::unknown_emulator:
            c.emulator = "Bochs 3.0";
            return c;
        case VerdictId::killed:
            c.outcome.killed_by = 9;
            return c;
        case VerdictId::triple_fault:
            c.processor("TripleFault", {});
            return c;
        case VerdictId::emulator_gave_up:
            c.panic = "no memory";
            return c;
        default:
            return c;
    }
}

/// A case for each sentence of the table.
Case case_of(VerdictId id) {
    Case c = with_summary("passed");
    switch (id) {
        case VerdictId::silent_bug_check:
            return with_summary("bugcheck");
        case VerdictId::bug_check:
            c = with_summary("bugcheck");
            c.lab("BugCheck", {{"code", "0x7e"}, {"name", "N"}});
            return c;
        case VerdictId::complaint_and_more:
            c = with_summary("failed");
            c.lab("Finding", {{"detail", "one"}});
            [[fallthrough]];
        case VerdictId::complaint:
            c.lab("Finding", {{"rule", "UnreadableLine"}, {"detail", "words"}});
            return c;
        case VerdictId::driver_failed:
            return with_summary("failed");
        case VerdictId::witnesses_disagree:
            c.witnesses.disagreement = "words";
            return c;
        case VerdictId::entry_refused:
            c = with_summary("refused");
            c.driver("VmxInstructionFailed", refusal("VMLAUNCH", 7));
            return c;
        case VerdictId::failed_after_entry:
            c = with_summary("refused");
            c.processor("VmLaunch", {});
            return c;
        case VerdictId::refused:
            return with_summary("refused");
        case VerdictId::story_differs:  // a stage's story is compared after the verdict
        case VerdictId::passed:
            return c;
        default:
            return unfinished_case_of(id);
    }
}

// No sentence is in the table that no run can end with, and each comes with its own result.
TEST(Verdict, EachSentenceOfTheTableEndsARun) {
    static const std::regex special{R"([.*+?^$|()\[\]\\/])"};
    static const std::regex place{R"(\{\})"};
    for (const VerdictSentence& sentence : verdict_sentences) {
        if (sentence.id == VerdictId::story_differs) {
            continue;
        }
        const Verdict verdict = case_of(sentence.id).judged();
        std::string pattern = std::regex_replace(std::string{sentence.words}, special, R"(\$&)");
        pattern = std::regex_replace(pattern, place, "(.|\n)*");
        EXPECT_TRUE(std::regex_match(verdict.reason, std::regex{pattern}))
            << sentence.words << " / " << verdict.reason;
        EXPECT_EQ(verdict.result, sentence.result) << sentence.words;
    }
}

}  // namespace
}  // namespace hvp::tool
