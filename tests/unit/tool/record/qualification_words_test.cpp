// Exit qualifications in words, by the kind that the table of exit reasons names.
#include "tool/record/words/qualification_words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

using vmx::ExitReason;

TEST(QualificationWords, DecodeEachKind) {
    EXPECT_EQ(qualification_words(ExitReason::control_register_access, 0xD13),
              "MOV from CR3 to R13");
    // [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-5]
    EXPECT_EQ(qualification_words(ExitReason::io_instruction, 0x0060'0008),
              "IN from port 0x60, 1 byte");
    EXPECT_EQ(qualification_words(ExitReason::io_instruction, 0x03F8'0033),
              "OUT to port 0x3f8, 4 bytes, string, REP");
    EXPECT_EQ(qualification_words(ExitReason::exception_or_nmi, 0x4001), "B0 BS");
    EXPECT_EQ(qualification_words(ExitReason::invalid_guest_state, 4),
              "the VMCS link pointer (26.3.1.5)");
    EXPECT_EQ(qualification_words(ExitReason::msr_loading, 2),
              "entry 2 of the VM-entry MSR-load area, from 1");
    // Without the address, which belongs to the exit and not to its qualification.
    EXPECT_EQ(qualification_words(ExitReason::ept_violation, 0x18A), "write; mapped r--");
}

TEST(QualificationWords, SayNothingOfExitsWithoutOne) {
    EXPECT_EQ(qualification_words(ExitReason::cpuid, 0), "");
    EXPECT_EQ(qualification_words(static_cast<ExitReason>(1000), 7), "");
}

}  // namespace
}  // namespace hvp::tool
