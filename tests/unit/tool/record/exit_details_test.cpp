// What an exit was about, in words.
#include "tool/record/words/exit_details.hpp"

#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

Event exit_event(unsigned reason, const char* qualification, const char* detail = nullptr) {
    Event event{.t = 1,
                .cpu = 0,
                .from = "driver",
                .name = "VmExit",
                .fields = {{"reason_number", reason}, {"qualification", qualification}}};
    if (detail != nullptr) {
        event.fields["detail"] = detail;
    }
    return event;
}

TEST(ExitDetails, NameLeafMsrAndCall) {
    EXPECT_EQ(exit_details(ExitNumbers::of(exit_event(10, "0x0", "0x40000000"))),
              "leaf 0x40000000");
    EXPECT_EQ(exit_details(ExitNumbers::of(exit_event(31, "0x0", "0x3a"))), "MSR 0x3a");
    EXPECT_EQ(exit_details(ExitNumbers::of(exit_event(32, "0x0", "0xc0000080"))), "MSR 0xc0000080");
    EXPECT_EQ(exit_details(ExitNumbers::of(exit_event(18, "0x0", "0x48565000"))),
              "call 0x48565000");
}

TEST(ExitDetails, DecodeTheQualificationOfControlRegisters) {
    EXPECT_EQ(exit_details(ExitNumbers::of(exit_event(28, "0x3"))), "MOV from RAX to CR3");
    EXPECT_EQ(exit_details(ExitNumbers::of(exit_event(28, "0xd13"))), "MOV from CR3 to R13");
    EXPECT_EQ(exit_details(ExitNumbers::of(exit_event(28, "0x400"))), "MOV from RSP to CR0");
    EXPECT_EQ(exit_details(ExitNumbers::of(exit_event(28, "0x20"))), "CLTS");
    EXPECT_EQ(exit_details(ExitNumbers::of(exit_event(28, "0x30"))), "LMSW of 0x0");
}

TEST(ExitDetails, SayNothingWhereThereIsNothing) {
    EXPECT_EQ(exit_details(ExitNumbers::of(exit_event(12, "0x0", "0x0"))), "");
    EXPECT_EQ(exit_details(ExitNumbers::of(exit_event(10, "0x0"))), "");
}

TEST(InjectedEvent, HasItsName) {
    const auto injected = [](const char* information) {
        Event event = exit_event(20, "0x0");
        event.fields["injected"] = information;
        return injected_event(event);
    };
    EXPECT_EQ(injected("0x80000306"), "#UD");
    EXPECT_EQ(injected("0x80000b0d"), "#GP");
    EXPECT_EQ(injected("0x80000603"), "#BP");
    EXPECT_EQ(injected("0x8000030f"), "exception 15");
    EXPECT_EQ(injected("0x8000031f"), "exception 31");
    EXPECT_EQ(injected("0x80000202"), "NMI");
    EXPECT_EQ(injected("0x800000d1"), "interrupt 0xd1");
    EXPECT_EQ(injected("0x8000042e"), "INT 0x2e");
    EXPECT_EQ(injected("0x306"), "") << "not valid";
    EXPECT_EQ(injected_event(exit_event(20, "0x0")), "");
}

// [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-7]: each bit, one after the other.
TEST(ExitDetails, EveryBitOfAnEptViolation) {
    const auto details = [](const char* qualification) {
        return exit_details(ExitNumbers::of(exit_event(48, qualification, "0x5000")));
    };
    EXPECT_EQ(details("0x181"), "read; mapped ---; guest-physical 0x5000");
    EXPECT_EQ(details("0x182"), "write; mapped ---; guest-physical 0x5000");
    EXPECT_EQ(details("0x184"), "fetch; mapped ---; guest-physical 0x5000");
    EXPECT_EQ(details("0x083"),
              "read and write of a paging structure; mapped ---; guest-physical 0x5000");
    EXPECT_EQ(details("0x18A"), "write; mapped r--; guest-physical 0x5000");
    EXPECT_EQ(details("0x191"), "read; mapped -w-; guest-physical 0x5000");
    EXPECT_EQ(details("0x1A1"), "read; mapped --x; guest-physical 0x5000");
    EXPECT_EQ(details("0x001"), "read, no linear address; mapped ---; guest-physical 0x5000");
    EXPECT_EQ(details("0x1FC1"),
              "read; mapped ---; executable in user mode; a user-mode address; a writable page of "
              "the guest; an execute-disable page of the guest; NMIs unblocked by IRET; "
              "guest-physical 0x5000");
    EXPECT_EQ(details("0x2181"), "read; mapped ---; reserved bits 0x2000; guest-physical 0x5000");
}

}  // namespace
}  // namespace hvp::tool
