// A debugger's walk over the stack of a trap in the VMM: from every instruction between the gate
// and IRETQ the unwinder must find what was interrupted. What the processor pushes, this test knows
// by the vector; what the code pushes, by a walk over its instructions.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/lab_nt/unwound.hpp"

namespace hvp::tests {
namespace {

constexpr std::uint64_t interrupted_rip = 0xFFFF'F801'8888'0000;
constexpr std::uint64_t interrupted_rsp = 0xFFFF'F880'0020'0030;
constexpr std::size_t stubs = 32;

/// [SDM 3A 6.13 "Error Code"]
bool pushes_error_code(std::size_t vector) {
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

/// After the processor has pushed what it pushes, all general registers those of the interrupted.
StackState interrupted_state(bool has_error_code) {
    StackState state;
    for (std::size_t i = 0; i < state.general.size(); ++i) {
        state.general[i] = original(i);
    }
    state.stack[StackState::entry_rsp] = interrupted_rip;
    state.stack[StackState::entry_rsp + 24] = interrupted_rsp;
    if (has_error_code) {
        state.rsp -= 8;
    }
    return state;
}

bool is_interruption(const UnwindImage& image, const pe::RuntimeFunction& function) {
    const StackState state = interrupted_state(false);
    stack_now = &state;
    auto registers = registers_of(state, function.begin);
    rtl::FrameFacts facts;
    return rtl::unwind(image.view(), registers, read_stack, &facts) && facts.machine_frame != 0;
}

/// Functions one behind the other, which jump and fall into one another: the way of an
/// interruption to its IRETQ.
struct Way {
    std::uint32_t begin{};
    std::uint32_t end{};
    std::vector<std::uint32_t> entries;
};

std::vector<Way> ways_of_interruptions(const UnwindImage& image) {
    constexpr std::uint32_t alignment = 16;
    std::vector<Way> ways;
    for (const auto& function : image.functions()) {
        if (!is_interruption(image, function)) {
            continue;
        }
        if (ways.empty() || function.begin - ways.back().end >= alignment) {
            ways.push_back({.begin = function.begin, .end = function.end, .entries = {}});
        }
        ways.back().end = function.end;
        ways.back().entries.push_back(function.begin);
    }
    return ways;
}

/// From a stub to the code that all share. A jump out of a function looks like the end of one, to
/// Windows' unwinder as to ours, so at this instruction nothing is to be had.
/// [Windows: x64 prolog and epilog]
bool is_jump(const UnwindImage& image, std::uint32_t address) {
    constexpr std::array jumps{std::byte{0xEB}, std::byte{0xE9}};
    return std::ranges::find(jumps, image.memory()[address]) != jumps.end();
}

/// Returns  how many of the way's instructions were reached
std::size_t expect_found_from_everywhere(const UnwindImage& image, const Way& way,
                                         std::uint32_t entry, bool has_error_code) {
    std::set<std::uint32_t> seen;
    std::size_t ends = 0;
    const auto look = [&](std::uint32_t address, const StackState& state, Leaving leaving) {
        const auto where = fmt::format("{}+{:#x}", image.name(), address);
        seen.insert(address);
        if (is_jump(image, address)) {
            return;
        }
        stack_now = &state;
        auto registers = registers_of(state, address);
        EXPECT_TRUE(rtl::unwind(image.view(), registers, read_stack)) << where;
        EXPECT_EQ(registers.rip, interrupted_rip) << where;
        EXPECT_EQ(registers.rsp(), interrupted_rsp) << where;
        for (const auto number : preserved_registers) {
            EXPECT_EQ(registers.general[number], original(number)) << where << " r" << number;
        }
        if (leaving == Leaving::by_processor) {
            EXPECT_EQ(state.rsp, StackState::entry_rsp) << where;
            ++ends;
        }
    };
    constexpr std::uint32_t no_prologue = 0;
    FunctionWalk walk{image.memory(), {.begin = way.begin, .end = way.end}, no_prologue, look};
    walk.from(entry, interrupted_state(has_error_code));
    EXPECT_EQ(ends, 1U) << fmt::format("{}+{:#x}", image.name(), entry);
    return seen.size();
}

class TrapsInVmm : public testing::TestWithParam<std::string> {};

TEST_P(TrapsInVmm, LeadADebuggerToWhatTheyInterrupted) {
    const UnwindImage image{HVP_IMAGES, "drivers/" + GetParam() + ".sys"};
    std::size_t vectors = 0;
    for (const Way& way : ways_of_interruptions(image)) {
        if (way.entries.size() < stubs) {
            continue;
        }
        for (; vectors < stubs; ++vectors) {
            // Push, or two, and a jump; seven registers saved and loaded, and the call.
            EXPECT_GT(expect_found_from_everywhere(image, way, way.entries[vectors],
                                                   pushes_error_code(vectors)),
                      18U);
        }
    }
    EXPECT_EQ(vectors, stubs);
}

std::vector<std::string> stages_with_exit_loop() {
    std::vector<std::string> names;
    std::istringstream stages{HVP_STAGES};
    for (std::string stage; stages >> stage;) {
        // `launch` has no IDT of its own.
        if (stage != "launch") {
            names.push_back(stage);
        }
    }
    return names;
}

INSTANTIATE_TEST_SUITE_P(Of, TrapsInVmm, testing::ValuesIn(stages_with_exit_loop()),
                         [](const auto& instance) {
                             std::string name = instance.param;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

}  // namespace
}  // namespace hvp::tests
