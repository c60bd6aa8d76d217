#include "lab/machine/processor_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace hvp::lab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using enum ProcessorEventKind;

struct Read {
    std::vector<ProcessorEvent> events;
    std::vector<std::string> lines;
    ProcessorLog log{{.event = [this](const ProcessorEvent& e) { events.push_back(e); },
                      .vmx_line = [this](std::string_view l) { lines.emplace_back(l); }}};
};

std::vector<ProcessorEvent> events_of(std::string_view text) {
    Read read;
    read.log.feed(text);
    read.log.finish();
    return read.events;
}

std::vector<ProcessorEventKind> kinds_of(std::string_view text) {
    std::vector<ProcessorEventKind> kinds;
    for (const ProcessorEvent& event : events_of(text)) {
        kinds.push_back(event.kind);
    }
    return kinds;
}

// Recorded from Bochs 2.7: one launch, one CPUID exit, one resume, one HLT exit.
constexpr std::string_view two_exits =
    "00000000000i[      ] Bochs x86 Emulator 2.7\n"
    "00000014730d[CPU0  ] page walk for address 0x0000000000200300\n"
    "00000014753d[CPU0  ] VMLAUNCH VMCS ptr: 0x0000000000301000\n"
    "00000014753d[CPU0  ] VMENTER to x86-64 guest\n"
    "00000014767d[CPU0  ] VMEXIT reason = 10 (CPUID) qualification=0x0\n"
    "00000014767d[CPU0  ] VMEXIT to x86-64 host\n"
    "00000014787d[CPU0  ] VMRESUME VMCS ptr: 0x0000000000301000\n"
    "00000014787d[CPU0  ] VMENTER to x86-64 guest\n"
    "00000014804d[CPU0  ] VMEXIT reason = 12 (HLT) qualification=0x0\n"
    "00000014804d[CPU0  ] VMEXIT to x86-64 host\n";

TEST(ProcessorLog, ReportsEntriesAndExits) {
    const auto events = events_of(two_exits);
    ASSERT_EQ(events.size(), 6U);
    EXPECT_EQ(events[0].kind, vm_launch);
    EXPECT_EQ(events[0].vmcs, 0x301000U);
    EXPECT_EQ(events[1],
              (ProcessorEvent{.kind = vm_entry, .t = 14753, .cpu = 0, .text = "x86-64 guest"}));
    EXPECT_EQ(events[2], (ProcessorEvent{.kind = vm_exit,
                                         .t = 14767,
                                         .cpu = 0,
                                         .vmcs = 0,
                                         .reason_number = 10,
                                         .reason = "CPUID"}));
    EXPECT_EQ(events[3].kind, vm_resume);
    EXPECT_EQ(events[5].reason, "HLT");
}

TEST(ProcessorLog, KeepsVmxLinesVerbatimAndNoOthers) {
    Read read;
    read.log.feed(two_exits);
    EXPECT_EQ(read.lines.size(), 8U);
    EXPECT_EQ(read.lines[2], "00000014767d[CPU0  ] VMEXIT reason = 10 (CPUID) qualification=0x0");
    EXPECT_EQ(exit_line(read.events[2]), read.lines[2]);
    EXPECT_EQ(read.log.emulator(), "Bochs 2.7");
    EXPECT_EQ(read.log.last_tick(), 14804U);
}

TEST(ProcessorLog, AnEntryThatFailsIsNotCounted) {
    const auto events = events_of(
        "00000014753d[CPU0  ] VMLAUNCH VMCS ptr: 0x0000000000301000\n"
        "00000014753d[CPU0  ] VMENTER to x86-64 guest\n"
        "00000014753e[CPU0  ] VMENTER FAIL: VMCS guest incorrect TR type\n"
        "00000014753e[CPU0  ] VMEXIT: Guest State Checks Failed\n"
        "00000014753d[CPU0  ] VMEXIT reason = 33 (VMENTRY failure: guest state) "
        "qualification=0x0\n");
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[1].kind, entry_failure);
    EXPECT_EQ(events[1].reason_number, 33);
    EXPECT_EQ(events[1].text, "VMENTER FAIL: VMCS guest incorrect TR type");
}

TEST(ProcessorLog, AnEntryMayFailBeforeItIsAnnounced) {
    // The rules about RFLAGS come first, before the line `VMENTER`.
    EXPECT_THAT(kinds_of("00000000009d[CPU0  ] VMLAUNCH VMCS ptr: 0x0000000000301000\n"
                         "00000000009e[CPU0  ] VMENTER FAIL: RFLAGS[1] cleared\n"
                         "00000000009d[CPU0  ] VMEXIT reason = 33 (x) qualification=0x0\n"),
                ElementsAre(vm_launch, entry_failure));
}

TEST(ProcessorLog, AGuestsOwnVmlaunchIsNoEntry) {
    using enum ProcessorEventKind;
    EXPECT_THAT(kinds_of("00000000009d[CPU0  ] VMLAUNCH VMCS ptr: 0x0000000000301000\n"
                         "00000000009d[CPU0  ] VMENTER to x86-64 guest\n"
                         "00000000019d[CPU0  ] VMLAUNCH VMCS ptr: 0x0000000000301000\n"
                         "00000000019d[CPU0  ] VMEXIT reason = 20 (VMLAUNCH) qualification=0x0\n"),
                ElementsAre(vm_launch, vm_entry, vm_launch, vm_exit));
}

TEST(ProcessorLog, VmfailIsNoEntry) {
    EXPECT_THAT(kinds_of("00000000009d[CPU0  ] VMLAUNCH VMCS ptr: 0x0000000000301000\n"
                         "00000000009e[CPU0  ] VMFAIL: VMCS host state invalid CR3\n"),
                ElementsAre(vm_launch, vm_fail));
    EXPECT_THAT(kinds_of("00000000009e[CPU0  ] VMFAIL: VMLAUNCH with invalid VMCS ptr !\n"),
                ElementsAre(vm_fail));
    EXPECT_THAT(kinds_of("00000000009e[CPU0  ] VMXON: not expected (1 != 43) VMCS revision id !\n"),
                ElementsAre(vm_fail));
}

TEST(ProcessorLog, SomeBrokenGuestRulesAreLoggedAsVmfail) {
    const auto events = events_of(
        "00000000009d[CPU0  ] VMLAUNCH VMCS ptr: 0x0000000000301000\n"
        "00000000009d[CPU0  ] VMENTER to x86-64 guest\n"
        "00000000009e[CPU0  ] VMFAIL: VMCS guest IA32_S_CET invalid\n"
        "00000000009d[CPU0  ] VMEXIT reason = 33 (x) qualification=0x0\n");
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[1].kind, entry_failure);
    EXPECT_EQ(events[1].text, "VMFAIL: VMCS guest IA32_S_CET invalid");
}

TEST(ProcessorLog, ProcessorsDoNotDisturbEachOther) {
    const auto events = events_of(
        "00000000010d[CPU1  ] VMLAUNCH VMCS ptr: 0x0000000000301000\n"
        "00000000010d[CPU1  ] VMENTER to x86-64 guest\n"
        "00000000010d[CPU0  ] VMLAUNCH VMCS ptr: 0x0000000000302000\n"
        "00000000010e[CPU0  ] VMFAIL: VMCS host CR4.PCIDE set\n"
        "00000000015d[CPU1  ] VMEXIT reason = 12 (HLT) qualification=0x0\n");
    std::vector<ProcessorEventKind> of_cpu1;
    for (const ProcessorEvent& event : events) {
        if (event.cpu == 1) {
            of_cpu1.push_back(event.kind);
        }
    }
    EXPECT_THAT(of_cpu1, ElementsAre(vm_launch, vm_entry, vm_exit));
}

TEST(ProcessorLog, AGuestThatNeverLeavesHasEntered) {
    EXPECT_THAT(kinds_of("00000000010d[CPU0  ] VMLAUNCH VMCS ptr: 0x0000000000301000\n"
                         "00000000010d[CPU0  ] VMENTER to x86-64 guest\n"),
                ElementsAre(vm_launch, vm_entry));
}

TEST(ProcessorLog, SeesATripleFault) {
    Read read;
    read.log.feed(
        "00000000006p[CPU0  ] >>PANIC<< exception(): 3rd (13) exception with no "
        "resolution\n");
    ASSERT_EQ(read.events.size(), 1U);
    EXPECT_EQ(read.events[0].kind, triple_fault);
    EXPECT_EQ(read.events[0].t, 6U);
    EXPECT_EQ(read.log.panic(), "exception(): 3rd (13) exception with no resolution");
}

TEST(ProcessorLog, KnowsWhetherAllProcessorsAreHaltedAtTheEnd) {
    Read read;
    read.log.feed("00000000006i[CPU0  ] CPU is in long mode (halted)\n");
    EXPECT_TRUE(read.log.all_halted(1));
    EXPECT_FALSE(read.log.all_halted(2));
    read.log.feed("00000000006i[CPU0  ] CPU is in long mode (active)\n");
    EXPECT_FALSE(read.log.all_halted(1));
}

TEST(ProcessorLog, QualificationIsHexadecimal) {
    const auto events =
        events_of("00000000010d[CPU0  ] VMEXIT reason = 48 (EPT violation) qualification=0x181\n");
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].qualification, 0x181U);
    EXPECT_EQ(events[0].reason, "EPT violation");
}

TEST(ProcessorLog, NamesAnotherEmulatorsVersion) {
    Read read;
    read.log.feed("00000000000i[      ] Bochs x86 Emulator 3.0\n");
    EXPECT_EQ(read.log.emulator(), "Bochs 3.0");
}

TEST(ProcessorLog, SurvivesGarbage) {
    EXPECT_THAT(kinds_of("\n\n[CPU0\n00000000010d[CPU9  ] VMEXIT reason = 1 (x) qualification=0x0\n"
                         "99999999999999999999999d[CPU0  ] VMEXIT reason = 1 (x) qualification=0\n"
                         "00000000010d[CPU0  ] VMEXIT reason = \n"
                         "00000000010d[CPU0  ] VMEXIT reason = 70000 (x) qualification=0x0\n"
                         "00000000010d[CPU0  ] VMEXIT reason = 5 (x\n"),
                IsEmpty());
    EXPECT_THAT(kinds_of("00000000010d[CPU0  ] VMLAUNCH VMCS ptr: ?\n"),
                ElementsAre(vm_launch, vm_entry));
    EXPECT_THAT(kinds_of(std::string(1 << 20, 'V') + "\n"), IsEmpty());
    EXPECT_THAT(kinds_of(std::string_view{"\0\0\0\n\0", 5}), IsEmpty());
}

// The events do not depend on how the bytes are split.
RC_GTEST_PROP(ProcessorLogProperty, PiecesMakeNoDifference, ()) {
    Read read;
    std::string_view rest = two_exits;
    while (!rest.empty()) {
        const auto piece = *rc::gen::inRange<std::size_t>(1, rest.size() + 1);
        read.log.feed(rest.substr(0, piece));
        rest.remove_prefix(piece);
    }
    read.log.finish();
    RC_ASSERT(read.events == events_of(two_exits));
}

// No content of a log stops the parser; known lines after it still count.
RC_GTEST_PROP(ProcessorLogProperty, ReadsOnAfterAnyBytes, (const std::string& bytes)) {
    Read read;
    read.log.feed(bytes);
    read.log.feed("\n00000000077d[CPU0  ] VMEXIT reason = 12 (HLT) qualification=0x0\n");
    read.log.finish();
    RC_ASSERT(!read.events.empty());
    RC_ASSERT(read.events.back().t == 77U);
    RC_ASSERT(read.events.back().kind == vm_exit);
}

// The same for lines that are nearly correct.
RC_GTEST_PROP(ProcessorLogProperty, ReadsOnAfterSpoiltLines, ()) {
    std::string spoilt{two_exits};
    const auto changes = *rc::gen::container<std::vector<std::pair<std::size_t, char>>>(
        rc::gen::pair(rc::gen::inRange<std::size_t>(0, spoilt.size()), rc::gen::arbitrary<char>()));
    for (const auto& [place, byte] : changes) {
        spoilt[place] = byte;
    }
    Read read;
    read.log.feed(spoilt);
    read.log.finish();
    for (const ProcessorEvent& event : read.events) {
        RC_ASSERT(event.cpu < ProcessorLog::most_processors);
    }
}

}  // namespace
}  // namespace hvp::lab
