#include "tool/run/witnesses.hpp"

#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

using lab::ProcessorEventKind;

// One launch as both witnesses should tell it; tests change one side.
struct Testimony {
    Timeline timeline{10'000};
    ProcessorRecord processors;

    void claim(std::string name, Json fields, unsigned cpu = 0) {
        timeline.add({.t = 1,
                      .cpu = cpu,
                      .from = "driver",
                      .name = std::move(name),
                      .fields = std::move(fields)});
    }
    void claim_exit(std::string reason, unsigned number, unsigned cpu = 0) {
        claim("VmExit", {{"reason", reason}, {"reason_number", number}, {"qualification", "0x0"}},
              cpu);
    }
    void log_entry(unsigned cpu = 0) {
        processors.add({.kind = ProcessorEventKind::vm_entry, .t = 10, .cpu = cpu});
    }
    void log_exit(std::string reason, std::uint16_t number, unsigned cpu = 0) {
        processors.add({.kind = ProcessorEventKind::vm_exit,
                        .t = 20,
                        .cpu = cpu,
                        .vmcs = 0,
                        .reason_number = number,
                        .reason = std::move(reason)});
    }
    [[nodiscard]] WitnessReport compare(bool driver_must_report = true) const {
        return compare_witnesses(timeline, processors, driver_must_report);
    }
};

Testimony honest() {
    Testimony testimony;
    testimony.claim("VmEntry", Json::object());
    testimony.claim_exit("HLT", 12);
    testimony.log_entry();
    testimony.log_exit("HLT", 12);
    return testimony;
}

TEST(Witnesses, AgreeAboutAnHonestRun) {
    EXPECT_EQ(honest().compare().answer, "agree");
    EXPECT_EQ(honest().compare(false).answer, "agree");
}

TEST(Witnesses, NoticeAnExitThatDidNotHappen) {
    Testimony testimony = honest();
    testimony.claim_exit("CPUID", 10);
    const auto report = testimony.compare();
    EXPECT_EQ(report.answer, "disagree");
    EXPECT_TRUE(report.disagreement.contains("the driver says VM exit 10 CPUID"))
        << report.disagreement;
    EXPECT_TRUE(report.disagreement.contains("the processor logged none"));
}

TEST(Witnesses, NoticeAHiddenExit) {
    Testimony testimony = honest();
    testimony.log_exit("CPUID", 10);
    const auto report = testimony.compare();
    EXPECT_EQ(report.answer, "disagree");
    EXPECT_TRUE(report.disagreement.contains(
        "00000000020d[CPU0  ] VMEXIT reason = 10 (CPUID) qualification=0x0"))
        << report.disagreement;
}

// A guest of four exits of whose two middle ones the ring had no place.
Testimony with_drops(std::uint64_t counted) {
    Testimony testimony;
    testimony.claim("VmEntry", Json::object());
    testimony.log_entry();
    const auto claim = [&](const char* reason, unsigned number, unsigned sequence) {
        testimony.claim("VmExit", {{"reason", reason},
                                   {"reason_number", number},
                                   {"qualification", "0x0"},
                                   {"sequence", sequence}});
    };
    claim("HLT", 12, 0);
    testimony.claim("VmEntry", Json::object());
    claim("VMCALL", 18, 3);
    testimony.claim("EventsDropped", {{"count", counted}});
    for (const auto& [reason, number] :
         {std::pair{"HLT", 12}, {"CPUID", 10}, {"CPUID", 10}, {"VMCALL", 18}}) {
        testimony.log_exit(reason, static_cast<std::uint16_t>(number));
    }
    for (int i = 0; i < 3; ++i) {
        testimony.log_entry();
    }
    return testimony;
}

TEST(Witnesses, AgreeWhereDroppedExitsAreCounted) {
    EXPECT_EQ(with_drops(2).compare().disagreement, "");
}

TEST(Witnesses, NoticeAnExitThatIsNeitherToldNorCounted) {
    EXPECT_TRUE(with_drops(1).compare().disagreement.contains("leaves out 1 more"));
}

TEST(Witnesses, NoticeADroppedExitThatDidNotHappen) {
    EXPECT_TRUE(with_drops(3).compare().disagreement.contains("counted 3 as dropped"));
}

TEST(Witnesses, HoldExitsByTheirSequenceNumbers) {
    Testimony testimony = with_drops(2);
    testimony.claim("VmEntry", Json::object());
    testimony.log_entry();
    testimony.claim(
        "VmExit",
        {{"reason", "CPUID"}, {"reason_number", 10}, {"qualification", "0x0"}, {"sequence", 0}});
    testimony.log_exit("CPUID", 10);
    EXPECT_EQ(testimony.compare().disagreement, "") << "another guest counts from 0 again";
}

TEST(Witnesses, NoticeAWrongReason) {
    Testimony wrong_number;
    wrong_number.claim_exit("CPUID", 10);
    wrong_number.log_exit("HLT", 12);
    EXPECT_EQ(wrong_number.compare().answer, "disagree");
    Testimony wrong_name;
    wrong_name.claim_exit("CPUID", 12);
    wrong_name.log_exit("HLT", 12);
    EXPECT_EQ(wrong_name.compare().answer, "disagree");
}

TEST(Witnesses, NoticeAWrongQualification) {
    Testimony testimony;
    testimony.claim("VmExit", {{"reason", "HLT"}, {"reason_number", 12}, {"qualification", "0x1"}});
    testimony.log_exit("HLT", 12);
    EXPECT_EQ(testimony.compare().answer, "disagree");
}

TEST(Witnesses, NoticeAnEntryTooMany) {
    Testimony testimony = honest();
    testimony.claim("VmEntry", Json::object());
    EXPECT_EQ(testimony.compare().disagreement,
              "VM entries of processor 0: the driver reported 2, the processor logged 1");
}

TEST(Witnesses, NoticeTheWrongProcessor) {
    Testimony testimony;
    testimony.claim_exit("HLT", 12, 1);
    testimony.log_exit("HLT", 12, 0);
    EXPECT_EQ(testimony.compare().answer, "disagree");
}

TEST(Witnesses, CompareFailedEntries) {
    Testimony testimony;
    testimony.claim("EntryFailure", {{"reason_number", 33}});
    EXPECT_EQ(testimony.compare().answer, "disagree");
    testimony.processors.add({.kind = ProcessorEventKind::entry_failure,
                              .t = 1,
                              .cpu = 0,
                              .vmcs = 0,
                              .reason_number = 33,
                              .reason = "x"});
    EXPECT_EQ(testimony.compare().answer, "agree");
}

// A VMM that notes when it enters cannot know yet whether it will.
TEST(Witnesses, AnEntryThatFailsIsNone) {
    Testimony testimony;
    testimony.claim("VmEntry", {});
    testimony.claim("EntryFailure", {{"reason_number", 33}});
    testimony.processors.add({.kind = ProcessorEventKind::entry_failure,
                              .t = 1,
                              .cpu = 0,
                              .vmcs = 0,
                              .reason_number = 33,
                              .reason = "x"});
    EXPECT_EQ(testimony.compare().answer, "agree");
    // One that was followed by an exit was an entry.
    testimony.claim("VmEntry", {});
    testimony.claim_exit("HLT", 12, 0);
    testimony.claim("EntryFailure", {{"reason_number", 33}});
    EXPECT_EQ(testimony.compare().answer, "disagree");
}

// [SDM 3C 30.4 "VM Instruction Error Numbers", Table 30-1]
struct Refusal {
    Testimony testimony;

    void claim(const char* instruction, unsigned number) {
        testimony.claim("VmxInstructionFailed",
                        {{"instruction", instruction},
                         {"result", number == 0 ? "VMfailInvalid" : "VMfailValid"},
                         {"error_number", number}});
    }
    void log(ProcessorEventKind attempt, const char* text) {
        ++t;
        testimony.processors.add({.kind = attempt, .t = t, .cpu = 0});
        log_fail(text);
    }
    void log_fail(const char* text) {
        testimony.processors.add(
            {.kind = ProcessorEventKind::vm_fail, .t = t, .cpu = 0, .text = text});
    }
    std::uint64_t t = 5;
};

TEST(Witnesses, CompareRefusedEntriesOneByOne) {
    Refusal refusal;
    refusal.claim("VMLAUNCH", 7);
    EXPECT_EQ(refusal.testimony.compare().disagreement,
              "instructions that failed on processor 0: the driver says VMLAUNCH: VM-instruction "
              "error 7, the processor logged none");
    refusal.log(ProcessorEventKind::vm_launch,
                "VMFAIL: VMCS EXEC CTRL: MSR bitmap phy addr malformed");
    EXPECT_EQ(refusal.testimony.compare().disagreement, "");
    refusal.log(ProcessorEventKind::vm_resume, "VMFAIL: VMCS host RIP non-canonical");
    EXPECT_EQ(refusal.testimony.compare().disagreement,
              "instructions that failed on processor 0: the driver reports no VMRESUME, the "
              "processor logged VMFAIL: VMCS host RIP non-canonical");
    refusal.claim("VM entry", 8);
    EXPECT_EQ(refusal.testimony.compare().disagreement, "");
    refusal.log(ProcessorEventKind::vm_launch, "VMFAIL: VMLAUNCH with non-clear VMCS!");
    refusal.claim("VMLAUNCH", 5);
    EXPECT_EQ(refusal.testimony.compare().disagreement,
              "instructions that failed on processor 0: the driver says VMLAUNCH: VM-instruction "
              "error 5, the processor logged VMFAIL: VMLAUNCH with non-clear VMCS!");
}

TEST(Witnesses, KnowAnotherInstructionThanTheOneThatFailed) {
    Refusal refusal;
    refusal.claim("VMRESUME", 7);
    refusal.log(ProcessorEventKind::vm_launch,
                "VMFAIL: VMCS EXEC CTRL: MSR bitmap phy addr malformed");
    EXPECT_EQ(refusal.testimony.compare().answer, "disagree");
}

// A driver need not report that it has tried an instruction, but must not make it up.
TEST(Witnesses, BelieveNoFailedSetUpThatWasNone) {
    Refusal refusal;
    refusal.claim("VMXON", 0);
    EXPECT_EQ(refusal.testimony.compare().answer, "disagree");
    refusal.log_fail("VMFAIL: VMCLEAR with invalid physical address!");
    refusal.log_fail("VMXON: not expected (44 != 43) VMCS revision id !");
    refusal.log_fail("#GP: VMXON is not allowed !");
    refusal.claim("VMXON", 15);  // in VMX root operation: the emulator logs nothing
    EXPECT_EQ(refusal.testimony.compare().disagreement, "");
}

TEST(Witnesses, AForeignDriverMayBeSilentAStageMayNot) {
    Testimony testimony;
    testimony.log_entry();
    testimony.log_exit("HLT", 12);
    EXPECT_EQ(testimony.compare(false).answer, "driver silent");
    EXPECT_EQ(testimony.compare(true).answer, "disagree");
}

TEST(ProcessorRecord, MeasuresFromExitToTheNextEntry) {
    ProcessorRecord record;
    const auto add = [&](ProcessorEventKind kind, std::uint64_t t) {
        record.add(
            {.kind = kind, .t = t, .cpu = 0, .vmcs = 0, .reason_number = 10, .reason = "CPUID"});
    };
    using enum ProcessorEventKind;
    add(vm_entry, 100);
    add(vm_exit, 110);
    add(vm_entry, 130);
    add(vm_exit, 140);
    add(vm_entry, 164);
    add(vm_exit, 170);  // no entry follows: not counted
    EXPECT_EQ(record.root_ticks().dump(), R"({"CPUID":{"n":2,"min":20,"median":24,"max":24}})");
    EXPECT_EQ(record.exits().dump(), R"({"0":{"CPUID":3}})");
}

// The last exit of a guest ends with the guest: the next entry, by VMLAUNCH, is another one's.
TEST(ProcessorRecord, AnotherGuestsEntryEndsNoExit) {
    ProcessorRecord record;
    const auto add = [&](ProcessorEventKind kind, std::uint64_t t, std::uint16_t reason = 0) {
        record.add({.kind = kind,
                    .t = t,
                    .cpu = 0,
                    .vmcs = 0,
                    .reason_number = reason,
                    .reason = "VMCALL"});
    };
    using enum ProcessorEventKind;
    for (const std::uint64_t begin : {1'000U, 800'000U}) {
        add(vm_launch, begin);
        add(vm_entry, begin);
        add(vm_exit, begin + 10, 18);
        add(vm_resume, begin + 50);
        add(vm_entry, begin + 50);
        add(vm_exit, begin + 60, 18);
    }
    EXPECT_EQ(record.root_ticks().dump(), R"({"VMCALL":{"n":2,"min":40,"median":40,"max":40}})");
}

}  // namespace
}  // namespace hvp::tool
