#include "lab/machine/exception_log.hpp"

#include <gtest/gtest.h>

#include "lab/machine/processor_log.hpp"

namespace hvp::lab {
namespace {

ProcessorLog read(std::string_view text) {
    ProcessorLog log{{.event = [](const ProcessorEvent&) {}, .vmx_line = [](std::string_view) {}}};
    log.feed(text);
    return log;
}

// Recorded from Bochs 2.7: a guest with an empty IDT executes UD2; later the kernel's clock.
constexpr std::string_view triple_fault =
    "00000460897d[CPU0  ] exception(0x06): error_code=0000\n"
    "00000460897d[CPU0  ] interrupt(): vector = 06, TYPE = 3, EXT = 1\n"
    "00000460897e[CPU0  ] interrupt(long mode): vector must be within IDT table limits, IDT.limit "
    "= 0x0\n"
    "00000460897d[CPU0  ] exception(0x0d): error_code=0033\n"
    "00000460897d[CPU0  ] interrupt(): vector = 0d, TYPE = 3, EXT = 1\n"
    "00000460897e[CPU0  ] interrupt(long mode): vector must be within IDT table limits, IDT.limit "
    "= 0x0\n"
    "00000460897d[CPU0  ] exception(0x08): error_code=0000\n"
    "00000460897d[CPU0  ] VMEXIT reason = 2 (Triple Fault) qualification=0x0\n"
    "00000509701d[CPU0  ] interrupt(): vector = d1, TYPE = 0, EXT = 1\n"
    "00000509701d[CPU0  ] interrupt(long mode): INTERRUPT TO SAME PRIVILEGE\n";

TEST(ExceptionLog, HasTheWholeChainOfOneInstruction) {
    const ProcessorLog log = read(triple_fault);
    const ExceptionChain* chain = log.exceptions().last(0);
    ASSERT_NE(chain, nullptr);
    const std::string obstacle = "vector must be within IDT table limits, IDT.limit = 0x0";
    EXPECT_EQ(*chain, (ExceptionChain{
                          .t = 460897,
                          .exceptions = {{.vector = 6, .error_code = 0, .obstacle = obstacle},
                                         {.vector = 13, .error_code = 0x33, .obstacle = obstacle},
                                         {.vector = 8, .error_code = 0}}}));
}

TEST(ExceptionLog, KeepsWhatEndedInTheLastExit) {
    std::string text{triple_fault};
    text += "00000537410d[CPU0  ] exception(0x0d): error_code=0000\n";
    const ProcessorLog log = read(text);
    ASSERT_NE(log.exceptions().of_last_exit(0), nullptr);
    EXPECT_EQ(log.exceptions().of_last_exit(0)->t, 460897U);
    EXPECT_EQ(log.exceptions().last(0)->t, 537410U);
    text += "00000537500d[CPU0  ] VMEXIT reason = 12 (HLT) qualification=0x0\n";
    EXPECT_EQ(read(text).exceptions().of_last_exit(0), nullptr);
}

TEST(ExceptionLog, APageFaultHasItsAddressAndTheMissingEntry) {
    const ProcessorLog log = read(
        "00000934107d[CPU1  ] page walk for address 0xfffff80000039000\n"
        "00000934107d[CPU1  ] PAE PDPE: entry not present\n"
        "00000934107d[CPU1  ] page fault for address fffff80000039000 @ fffff801a5e51894\n"
        "00000934107d[CPU1  ] exception(0x0e): error_code=0002\n"
        "00000934107d[CPU1  ] interrupt(): vector = 0e, TYPE = 3, EXT = 1\n");
    EXPECT_EQ(log.exceptions().last(0), nullptr);
    ASSERT_NE(log.exceptions().last(1), nullptr);
    EXPECT_EQ(
        log.exceptions().last(1)->exceptions,
        (std::vector<LoggedException>{
            {.vector = 14, .error_code = 2, .address = 0xfffff80000039000, .missing = "PDPE"}}));
}

TEST(ExceptionLog, AnInterruptAloneIsNoException) {
    const ProcessorLog log = read(
        "00000509701d[CPU0  ] interrupt(): vector = d1, TYPE = 0, EXT = 1\n"
        "00000509801d[CPU0  ] interrupt(): vector = 80, TYPE = 4, EXT = 0\n");
    EXPECT_EQ(log.exceptions().last(0), nullptr);
}

TEST(ExceptionLog, AnInterruptThatCannotBeDeliveredBeginsAChain) {
    const ProcessorLog log = read(
        "00000509701d[CPU0  ] interrupt(): vector = d1, TYPE = 0, EXT = 1\n"
        "00000509701e[CPU0  ] interrupt(long mode): gate descriptor is not valid sys seg\n"
        "00000509701d[CPU0  ] exception(0x0d): error_code=068b\n");
    ASSERT_NE(log.exceptions().last(0), nullptr);
    const auto& chain = log.exceptions().last(0)->exceptions;
    ASSERT_EQ(chain.size(), 2U);
    EXPECT_TRUE(chain[0].is_interrupt);
    EXPECT_EQ(chain[0].obstacle, "gate descriptor is not valid sys seg");
    EXPECT_EQ(chain[1].error_code, 0x68b);
}

TEST(ExceptionLog, ReadsAnything) {
    const ProcessorLog log = read(
        "00000000001d[CPU0  ] exception(0x\n00000000001d[CPU0  ] interrupt(): \n"
        "00000000001e[CPU0  ] interrupt(\n00000000001d[CPU0  ] exception(0xfff): error_code=\n"
        "00000000001d[CPU0  ] : entry not present\n00000000001d[CPU9  ] exception(0x0d): "
        "error_code=0\n");
    EXPECT_EQ(log.exceptions().last(0), nullptr);
}

}  // namespace
}  // namespace hvp::lab
