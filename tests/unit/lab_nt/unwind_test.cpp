// Unwind codes, one prologue each.  [Windows: x64 exception handling]
#include "lab/nt/rtl/unwind.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <map>
#include <vector>

namespace hvp::lab::rtl {
namespace {

constexpr std::uint64_t base = 0xFFFF'F801'0000'0000;
constexpr std::uint64_t stack = 0xFFFF'F880'0000'1000;
constexpr std::size_t rbx = 3;
constexpr std::size_t rbp = 5;

std::map<std::uint64_t, std::uint64_t> stack_content;

std::optional<std::uint64_t> read_stack(std::uint64_t address) {
    const auto found = stack_content.find(address);
    return found != stack_content.end() ? std::optional{found->second} : std::nullopt;
}

/// An image with one function at 0x100..0x200 whose unwind data lies at 0x400.
class Unwinding : public testing::Test {
protected:
    Unwinding() : memory(0x1000) {
        headers.directories[static_cast<std::size_t>(pe::DirectoryIndex::exceptions)] = {0x300, 12};
        EXPECT_TRUE(
            pe::write(pe::WritableBytes{memory}, 0x300, pe::RuntimeFunction{0x100, 0x200, 0x400}));
        stack_content.clear();
    }

    void unwind_data(std::initializer_list<std::uint8_t> bytes) {
        std::size_t at = 0x400;
        for (const auto byte : bytes) {
            memory[at++] = std::byte{byte};
        }
    }

    /// Unwinds from `offset` in the image.
    bool run(std::uint64_t offset) {
        registers.rip = base + offset;
        registers.rsp() = stack;
        return unwind({&headers, memory, base}, registers, read_stack, &facts);
    }

    pe::Headers headers;
    std::vector<std::byte> memory;
    Registers registers{};
    FrameFacts facts{};
};

TEST_F(Unwinding, ALeafFunctionHasOnlyItsReturnAddress) {
    stack_content[stack] = 0x1234;
    EXPECT_TRUE(run(0x50));
    EXPECT_EQ(registers.rip, 0x1234U);
    EXPECT_EQ(registers.rsp(), stack + 8);
}

// push rbx (2 bytes); sub rsp, 0x20 (4 bytes): codes are in reverse order.
TEST_F(Unwinding, PushedRegistersAndSmallAllocations) {
    unwind_data({1, 6, 2, 0, 6, 0x32, 2, 0x30});
    stack_content[stack + 0x20] = 0xBB;
    stack_content[stack + 0x28] = 0x1234;
    EXPECT_TRUE(run(0x180));
    EXPECT_EQ(registers.general[rbx], 0xBBU);
    EXPECT_EQ(registers.rip, 0x1234U);
    EXPECT_EQ(registers.rsp(), stack + 0x30);
}

TEST_F(Unwinding, InstructionsOfThePrologueThatDidNotRunYetAreNotUndone) {
    unwind_data({1, 6, 2, 0, 6, 0x32, 2, 0x30});
    stack_content[stack] = 0xBB;
    stack_content[stack + 8] = 0x1234;
    EXPECT_TRUE(run(0x102));  // rbx is pushed, the stack is not allocated yet
    EXPECT_EQ(registers.general[rbx], 0xBBU);
    EXPECT_EQ(registers.rip, 0x1234U);
}

TEST_F(Unwinding, LargeAllocationsInBothForms) {
    unwind_data({1, 7, 2, 0, 7, 0x01, 0x00, 0x01});  // 0x100 quadwords
    stack_content[stack + 0x800] = 0x1234;
    EXPECT_TRUE(run(0x180));
    EXPECT_EQ(registers.rsp(), stack + 0x808);
    unwind_data({1, 7, 3, 0, 7, 0x11, 0x00, 0x00, 0x10, 0x00});  // 0x100000 bytes
    stack_content[stack + 0x10'0000] = 0x5678;
    EXPECT_TRUE(run(0x180));
    EXPECT_EQ(registers.rip, 0x5678U);
}

// With a frame register RSP may be anywhere: rbp - 0x20 is where the fixed part ends.
TEST_F(Unwinding, AFrameRegisterReplacesRsp) {
    unwind_data({1, 10, 3, 0x25, 10, 0x03, 5, 0x32, 1, 0x50});
    registers.general[rbp] = stack + 0x120;
    stack_content[stack + 0x120] = 0xBB;  // rbp - 0x20 + 0x20: the saved rbp
    stack_content[stack + 0x128] = 0x1234;
    EXPECT_TRUE(run(0x180));
    EXPECT_EQ(registers.general[rbp], 0xBBU);
    EXPECT_EQ(registers.rip, 0x1234U);
}

TEST_F(Unwinding, SavedRegistersAreReadFromTheirOffsets) {
    unwind_data({1, 8, 4, 0, 8, 0x34, 0x03, 0x00, 4, 0x82, 2, 0});
    memory[0x404 + 4] = std::byte{4};
    memory[0x404 + 5] = std::byte{0x42};  // allocates 0x28 bytes
    memory[0x402] = std::byte{3};
    stack_content[stack + 0x18] = 0xBB;
    stack_content[stack + 0x28] = 0x1234;
    EXPECT_TRUE(run(0x180));
    EXPECT_EQ(registers.general[rbx], 0xBBU);
    EXPECT_EQ(registers.rip, 0x1234U);
}

// What an interrupt pushed: RIP, CS, RFLAGS, RSP, SS, here above an error code.
TEST_F(Unwinding, AMachineFrameGivesTheInterruptedRegisters) {
    unwind_data({1, 0, 1, 0, 0, 0x1A});
    stack_content[stack + 8] = 0x1234;
    stack_content[stack + 8 + 24] = 0x9000;
    EXPECT_TRUE(run(0x180));
    EXPECT_EQ(registers.rip, 0x1234U);
    EXPECT_EQ(registers.rsp(), 0x9000U);
    EXPECT_EQ(facts.machine_frame, stack);
}

TEST_F(Unwinding, AMachineFrameMayHaveNoErrorCode) {
    unwind_data({1, 0, 1, 0, 0, 0x0A});
    stack_content[stack] = 0x1234;
    stack_content[stack + 24] = 0x9000;
    EXPECT_TRUE(run(0x180));
    EXPECT_EQ(registers.rip, 0x1234U);
    EXPECT_EQ(registers.rsp(), 0x9000U);
    unwind_data({1, 0, 1, 0, 0, 0x1A});
    EXPECT_FALSE(run(0x180)) << "there is nothing where RIP would be above an error code";
}

// push rbp; sub rsp, 0x40; lea rbp, [rsp+0x20]; mov [rbp-0x8], rbx; movaps [rbp], xmm6. RSP has
// changed since.
TEST_F(Unwinding, SavedRegistersAreCountedFromTheFrameRegister) {
    unwind_data({1, 18, 7, 0x25, 18, 0x68, 2, 0, 14, 0x34, 3, 0, 10, 0x03, 5, 0x72, 1, 0x50});
    memory[0x402] = std::byte{7};
    registers.general[rbp] = stack + 0x120;  // the frame is at +0x100
    stack_content[stack + 0x118] = 0xBB;
    stack_content[stack + 0x120] = 0x66;
    stack_content[stack + 0x128] = 0x77;
    stack_content[stack + 0x140] = 0x55;
    stack_content[stack + 0x148] = 0x1234;
    EXPECT_TRUE(run(0x180));
    EXPECT_EQ(registers.general[rbx], 0xBBU);
    EXPECT_EQ(registers.vectors[6][0], 0x66U);
    EXPECT_EQ(registers.vectors[6][1], 0x77U);
    EXPECT_EQ(registers.general[rbp], 0x55U);
    EXPECT_EQ(registers.rip, 0x1234U);
    EXPECT_EQ(facts.establisher, stack + 0x100);
}

// sub rsp, 0x20; …; add rsp, 0x20; pop rbx; ret
TEST_F(Unwinding, AnEpilogueHasNoHandlerAndUndoesOnlyItsRest) {
    unwind_data({1 | 3 << 3, 6, 2, 0, 6, 0x32, 2, 0x30, 0x78, 0x06, 0, 0});
    for (std::size_t i = 0; const int byte : {0x48, 0x83, 0xC4, 0x20, 0x5B, 0xC3}) {
        memory[0x180 + i++] = static_cast<std::byte>(byte);
    }
    stack_content[stack + 0x20] = 0xBB;
    stack_content[stack + 0x28] = 0x1234;
    EXPECT_TRUE(run(0x180));
    EXPECT_EQ(registers.general[rbx], 0xBBU);
    EXPECT_EQ(registers.rip, 0x1234U);
    EXPECT_FALSE(facts.has(HandlerKind::exception));
    EXPECT_EQ(facts.function.begin, 0x100U);
    stack_content = {{stack, 0xBC}, {stack + 8, 0x1235}};
    EXPECT_TRUE(run(0x184));
    EXPECT_EQ(registers.general[rbx], 0xBCU);
    EXPECT_EQ(registers.rip, 0x1235U);
    stack_content = {{stack, 0x1236}};
    EXPECT_TRUE(run(0x185));
    EXPECT_EQ(registers.general[rbx], 0xBCU);
    EXPECT_EQ(registers.rip, 0x1236U);
}

TEST_F(Unwinding, ChainedDataGoesOnWithTheParent) {
    unwind_data({1 | 4 << 3, 0, 1, 0, 0, 0x02, 0, 0});  // allocate 8, then the chain
    EXPECT_TRUE(
        pe::write(pe::WritableBytes{memory}, 0x408, pe::RuntimeFunction{0x100, 0x180, 0x500}));
    memory[0x500] = std::byte{1};
    memory[0x502] = std::byte{1};
    memory[0x505] = std::byte{0x30};  // push rbx
    stack_content[stack + 8] = 0xBB;
    stack_content[stack + 16] = 0x1234;
    EXPECT_TRUE(run(0x180));
    EXPECT_EQ(registers.general[rbx], 0xBBU);
    EXPECT_EQ(registers.rip, 0x1234U);
}

// sub rsp, 0x38 (4 bytes); movaps [rsp+0x20], xmm6 (5 bytes).
TEST_F(Unwinding, SavedVectorsAreRestored) {
    unwind_data({1, 9, 3, 0, 9, 0x68, 2, 0, 4, 0x62});
    stack_content[stack + 0x20] = 0x66;
    stack_content[stack + 0x28] = 0x77;
    stack_content[stack + 0x38] = 0x1234;
    EXPECT_TRUE(run(0x180));
    EXPECT_EQ(registers.vectors[6][0], 0x66U);
    EXPECT_EQ(registers.vectors[6][1], 0x77U);
    EXPECT_EQ(registers.rip, 0x1234U);
}

// UNW_FLAG_EHANDLER | UNW_FLAG_UHANDLER; after the codes, padded to four bytes, the handler's
// address and its data.
TEST_F(Unwinding, AHandlerIsReportedOutsideOfThePrologue) {
    unwind_data({1 | 3 << 3, 4, 1, 0, 4, 0x32, 0, 0, 0x78, 0x06, 0, 0});
    stack_content[stack] = 0x1234;
    stack_content[stack + 0x20] = 0x1234;
    EXPECT_TRUE(run(0x180));
    EXPECT_EQ(facts.handler, 0x678U);
    EXPECT_EQ(facts.handler_data, 0x40CU);
    EXPECT_TRUE(facts.has(HandlerKind::exception));
    EXPECT_TRUE(facts.has(HandlerKind::unwind));
    EXPECT_EQ(facts.establisher, stack);
    EXPECT_EQ(facts.function.begin, 0x100U);
    static_cast<void>(run(0x102));
    EXPECT_FALSE(facts.has(HandlerKind::exception));
}

// push rbp (1 byte); sub rsp, 0x20 (4); lea rbp, [rsp+0x20] (5): rbp - 0x20 identifies the frame,
// even if RSP has changed since.
TEST_F(Unwinding, AFrameRegisterNamesTheFrame) {
    unwind_data({1, 10, 3, 0x25, 10, 0x03, 5, 0x32, 1, 0x50});
    registers.general[rbp] = stack + 0x120;
    stack_content[stack + 0x120] = 0xBB;
    stack_content[stack + 0x128] = 0x1234;
    EXPECT_TRUE(run(0x180));
    EXPECT_EQ(facts.establisher, stack + 0x100);
    EXPECT_EQ(registers.general[rbp], 0xBBU);
    EXPECT_EQ(registers.rip, 0x1234U);
}

TEST_F(Unwinding, BrokenDataAndBrokenStacksAreRefused) {
    EXPECT_FALSE(run(0x50)) << "no memory at the return address";
    unwind_data({2, 0, 0, 0});
    EXPECT_FALSE(run(0x180)) << "version 2";
    unwind_data({1, 0, 1, 0, 0, 0x0F});
    EXPECT_FALSE(run(0x180)) << "operation 15";
    unwind_data({1 | 4 << 3, 0, 0, 0});
    EXPECT_TRUE(
        pe::write(pe::WritableBytes{memory}, 0x404, pe::RuntimeFunction{0x100, 0x180, 0x400}));
    EXPECT_FALSE(run(0x180)) << "a chain that bites its tail";
    stack_content[stack] = 0x1234;
    unwind_data({1, 0, 1, 0, 0, 0x21, 0, 0});
    EXPECT_FALSE(run(0x180)) << "a large allocation in a third form";
    unwind_data({1, 0, 1, 0, 0, 0x01, 0, 0});
    EXPECT_FALSE(run(0x180)) << "a code that is not inside the codes";
    unwind_data({1 | 1 << 3, 0, 0, 0, 0x00, 0x10, 0, 0});
    EXPECT_FALSE(run(0x180)) << "a handler after the image";
    unwind_data({1 | 1 << 3, 0, 0, 0, 0xFF, 0x0F, 0, 0});
    EXPECT_TRUE(run(0x180)) << "the image's last byte is inside";
}

}  // namespace
}  // namespace hvp::lab::rtl
