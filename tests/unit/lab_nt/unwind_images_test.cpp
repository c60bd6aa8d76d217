// The unwinder on real images, from every instruction that a walk through the function reaches. The
// walk interprets the function's instructions (function_walk.hpp); the unwinder has only the unwind
// data, and must find the same caller.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/lab_nt/function_walk.hpp"
#include "tests/unit/lab_nt/unwind_image.hpp"
#include "tests/unit/lab_nt/unwound.hpp"

namespace hvp::tests {
namespace {

constexpr std::string_view kernel = "ntoskrnl.exe";

/// The difference between the caller that the unwinder has found and the real one; empty if none.
std::string differences(const rtl::Registers& caller, bool with_registers, bool with_vectors) {
    std::string all;
    if (caller.rip != StackState::return_address) {
        all += fmt::format(" rip {:#x}", caller.rip);
    }
    if (caller.general[rtl::rsp_number] != StackState::entry_rsp + 8) {
        all += fmt::format(" rsp {:#x}", caller.general[rtl::rsp_number]);
    }
    for (const auto number : preserved_registers) {
        if (with_registers && caller.general[number] != original(number)) {
            all += fmt::format(" r{} {:#x}", number, caller.general[number]);
        }
    }
    for (std::size_t i = first_preserved_vector; with_vectors && i < caller.vectors.size(); ++i) {
        if (caller.vectors[i] != original_vector(i)) {
            all += fmt::format(" xmm{}", i);
        }
    }
    return all;
}

/// `launch` has one exit, and a handler that is an ordinary function.
bool has_exit_handlers(const std::string& image) {
    const bool is_stage = image.starts_with("drivers/") && !image.contains("contract_") &&
                          !image.contains("misbehave") && !image.contains("msvc_");
    return is_stage && image != "drivers/launch.sys";
}

struct Counts {
    std::size_t functions{};
    std::size_t interruptions{};  ///< see unwind_traps_test.cpp
    std::size_t entered_by_processor{};
    std::size_t preserves_nothing{};  ///< `preserve_none`: the VMM's handlers of exits
    std::size_t instructions{};
    std::size_t in_prologues{};
    std::size_t in_epilogues{};
    std::size_t returns{};
    std::size_t in_scopes{};
    std::size_t moved{};  ///< left out: within PUSHFQ and POPFQ, which unwind data cannot describe
};

/// Compares the unwinder with a walk through one function.
class Comparison {
public:
    Comparison(const UnwindImage& image, const pe::RuntimeFunction& function, Counts& counts)
        : image_{image},
          function_{function},
          header_{rtl::read_unwind_header(image.memory(), function.unwind_data).value()},
          scopes_{image.scopes(function)},
          counts_{counts} {}

    void run() {
        ++counts_.functions;
        if (is_interruption()) {
            ++counts_.interruptions;
            return;
        }
        if (is_entered_by_processor()) {
            ++counts_.entered_by_processor;
            return;
        }
        preserves_nothing_ = has_exit_handlers(image_.name()) && changes_what_it_does_not_save();
        counts_.preserves_nothing += preserves_nothing_ ? 1 : 0;
        FunctionWalk walk{image_.memory(), function_, header_.prologue_bytes,
                          [this](std::uint32_t address, const StackState& state, Leaving leaving) {
                              look(address, state, leaving);
                          }};
        walk.from(function_.begin, state_at_entry());
        // No instruction leads to an __except block: the dispatcher continues there, with the
        // function's registers.
        for (const rtl::Scope& scope : scopes_) {
            if (!scope.is_finally() && body_) {
                walk.from(scope.target, *body_);
            }
        }
    }

private:
    [[nodiscard]] bool is_entered_by_processor() const {
        bool found = false;
        FunctionWalk walk{image_.memory(), function_, header_.prologue_bytes,
                          [&](std::uint32_t, const StackState&, Leaving leaving) {
                              found = found || leaving == Leaving::by_processor;
                          }};
        walk.from(function_.begin, state_at_entry());
        return found;
    }

    /// Whether the unwind data says that what lies on the stack is what the processor has pushed
    /// for an interruption.
    [[nodiscard]] bool is_interruption() const {
        const StackState state = state_at_entry();
        stack_now = &state;
        auto registers = registers_of(state, function_.begin);
        rtl::FrameFacts facts;
        return rtl::unwind(image_.view(), registers, read_stack, &facts) &&
               facts.machine_frame != 0;
    }

    /// Whether the function changes a register that a caller may rely on, and its unwind data says
    /// nothing of that register. Its caller then relies on none.
    [[nodiscard]] bool changes_what_it_does_not_save() const {
        bool found = false;
        FunctionWalk walk{image_.memory(), function_, header_.prologue_bytes,
                          [&](std::uint32_t address, const StackState& state, Leaving) {
                              auto registers = registers_of(state, address);
                              stack_now = &state;
                              found = found || (rtl::unwind(image_.view(), registers, read_stack) &&
                                                leaves_changed(state, registers));
                          }};
        walk.from(function_.begin, state_at_entry());
        return found;
    }
    [[nodiscard]] static bool leaves_changed(const StackState& state,
                                             const rtl::Registers& caller) {
        return std::ranges::any_of(preserved_registers, [&](std::size_t number) {
            return state.general[number] != original(number) &&
                   caller.general[number] == state.general[number].value_or(unknown);
        });
    }

    void look(std::uint32_t address, const StackState& state, Leaving leaving) {
        const std::uint32_t offset = address - function_.begin;
        if (offset == header_.prologue_bytes) {
            body_ = state;
        }
        if (body_ && state.rsp < body_->rsp && header_.frame_register == 0) {
            ++counts_.moved;
            return;
        }
        ++counts_.instructions;
        counts_.in_prologues += offset < header_.prologue_bytes ? 1 : 0;
        counts_.in_epilogues += body_ && state.rsp > body_->rsp ? 1 : 0;
        auto registers = registers_of(state, address);
        rtl::FrameFacts facts;
        stack_now = &state;
        const bool unwound = rtl::unwind(image_.view(), registers, read_stack, &facts);
        // The kernel itself does not use vector registers: it loads them for drivers.
        const auto wrong = differences(registers, !preserves_nothing_, image_.name() != kernel);
        EXPECT_TRUE(unwound && wrong.empty())
            << fmt::format("{}+{:#x}", image_.name(), address) << wrong;
        if (leaving == Leaving::by_return) {
            EXPECT_EQ(state.rsp, StackState::entry_rsp);
            ++counts_.returns;
        }
        if (std::ranges::any_of(scopes_, [&](const auto& scope) { return scope.holds(address); })) {
            ++counts_.in_scopes;
            EXPECT_EQ(facts.handler_data, image_.scope_table_of(function_));
        }
    }

    const UnwindImage& image_;
    pe::RuntimeFunction function_;
    rtl::UnwindHeader header_;
    std::vector<rtl::Scope> scopes_;
    Counts& counts_;
    std::optional<StackState> body_;  ///< after the prologue
    bool preserves_nothing_{};
};

class RealUnwindData : public testing::TestWithParam<std::string> {};

TEST_P(RealUnwindData, LeadsFromEveryInstructionToTheCaller) {
    const UnwindImage image{HVP_IMAGES, GetParam()};
    Counts counts;
    for (const auto& function : image.functions()) {
        Comparison{image, function, counts}.run();
    }
    fmt::print(
        "{}: {} functions ({} of interruptions, {} entered by the processor, {} that preserve no "
        "register), {} "
        "instructions, {} in prologues, "
        "{} in epilogues, {} in __try blocks, {} returns; {} left out\n",
        GetParam(), counts.functions, counts.interruptions, counts.entered_by_processor,
        counts.preserves_nothing, counts.instructions, counts.in_prologues, counts.in_epilogues,
        counts.in_scopes, counts.returns, counts.moved);
    EXPECT_GT(counts.returns, 0U);
    EXPECT_GT(counts.in_epilogues, 0U);
    EXPECT_LT(counts.moved * 10, counts.instructions);
    EXPECT_LT(counts.entered_by_processor * 10, counts.functions);
    EXPECT_LT(counts.preserves_nothing * 4, counts.functions);
}

/// The handlers of the blocks that the walk over a table gives.
template <typename Next>
std::vector<std::uint32_t> asked(Next next) {
    std::vector<std::uint32_t> handlers;
    std::uint32_t first = 0;
    while (const auto found = next(first)) {
        handlers.push_back(found->scope.handler);
        first = found->next;
    }
    return handlers;
}

/// The same, by a plain search of the table: of the blocks that contain `address` those that
/// `wanted` accepts.
std::vector<std::uint32_t> expected(const std::vector<rtl::Scope>& scopes, std::uint32_t address,
                                    const std::function<bool(const rtl::Scope&)>& wanted) {
    std::vector<std::uint32_t> handlers;
    for (const auto& scope : scopes) {
        if (scope.begin <= address && address < scope.end && wanted(scope)) {
            handlers.push_back(scope.handler);
        }
    }
    return handlers;
}

TEST_P(RealUnwindData, NamesTheHandlersFromTheInsideOut) {
    const UnwindImage image{HVP_IMAGES, GetParam()};
    std::size_t tables = 0;
    std::size_t addresses = 0;
    std::size_t ways = 0;
    for (const auto& function : image.functions()) {
        const auto scopes = image.scopes(function);
        if (scopes.empty()) {
            continue;
        }
        ++tables;
        const rtl::ScopeTable table{image.memory(), image.scope_table_of(function)};
        const auto left = [&](std::uint32_t from, std::optional<std::uint64_t> to) {
            return asked([&](std::uint32_t first) { return table.termination(first, from, to); });
        };
        for (std::uint32_t at = function.begin; at < function.end; ++at) {
            ++addresses;
            EXPECT_EQ(asked([&](std::uint32_t first) { return table.filter(first, at); }),
                      expected(scopes, at, [](const auto& scope) { return scope.target != 0; }));
            EXPECT_EQ(left(at, std::nullopt),
                      expected(scopes, at, [](const auto& scope) { return scope.target == 0; }));
            // To an __except block around it: the __finally blocks that do not hold that.
            for (const auto& goal : scopes) {
                if (goal.target == 0 || !goal.holds(at)) {
                    continue;
                }
                ++ways;
                EXPECT_EQ(left(at, goal.target), expected(scopes, at, [&](const auto& scope) {
                              return scope.target == 0 &&
                                     std::ranges::none_of(scopes, [&](const auto& other) {
                                         return other.handler == scope.handler &&
                                                other.holds(goal.target);
                                     });
                          }));
            }
        }
    }
    fmt::print("{}: {} scope tables, {} addresses, {} ways to an __except block\n", GetParam(),
               tables, addresses, ways);
}

TEST_P(RealUnwindData, MayBeDamagedWithoutHarm) {
    const UnwindImage whole{HVP_IMAGES, GetParam()};
    const auto functions = whole.functions();
    std::mt19937_64 random{8};
    const auto below = [&](std::uint64_t end) { return random() % end; };
    const StackState state = state_at_entry();
    stack_now = &state;
    std::size_t refused = 0;
    constexpr std::size_t rounds = 2'000;
    UnwindImage image = whole;
    for (std::size_t round = 0; round < rounds; ++round) {
        const auto function = functions[below(functions.size())];
        const auto table = whole.headers().directory(pe::DirectoryIndex::exceptions);
        // The unwind data itself, or the line that points to it; a change remains for a while.
        if (round % 64 == 0) {
            image = whole;
        }
        const std::uint64_t at =
            round % 4 == 0 ? table.address + below(table.size) : function.unwind_data + below(24);
        static_cast<void>(pe::write(image.writable(), at, static_cast<std::uint8_t>(random())));
        const auto address =
            static_cast<std::uint32_t>(function.begin + below(function.end - function.begin));
        auto registers = registers_of(state, address);
        registers.general[5] = StackState::entry_rsp - below(0x2000);
        rtl::FrameFacts facts;
        refused += rtl::unwind(image.view(), registers, read_stack, &facts) ? 0 : 1;
        EXPECT_LT(facts.handler, image.memory().size());
        if (facts.handler == 0) {
            continue;
        }
        const rtl::ScopeTable scopes{image.memory(), facts.handler_data};
        for (std::uint32_t first = 0; const auto found = scopes.filter(first, address);) {
            EXPECT_GT(found->next, first);
            EXPECT_LT(found->scope.handler, image.memory().size());
            first = found->next;
        }
    }
    fmt::print("{}: {} of {} damaged ways refused\n", GetParam(), refused, rounds);
    EXPECT_GT(refused, 0U);
    EXPECT_LT(refused, rounds);
}

/// The images that are linked before: the kernel, every stage, and drivers of the lab's tests.
std::vector<std::string> images() {
    std::vector<std::string> names{"ntoskrnl.exe",
                                   "drivers/contract_frames.sys",
                                   "drivers/contract_seh.sys",
                                   "drivers/contract_unwind.sys",
                                   "drivers/msvc_image.sys",
                                   "drivers/misbehave.sys"};
    std::istringstream stages{HVP_STAGES};
    for (std::string stage; stages >> stage;) {
        names.push_back("drivers/" + stage + ".sys");
    }
    return names;
}

INSTANTIATE_TEST_SUITE_P(Of, RealUnwindData, testing::ValuesIn(images()), [](const auto& instance) {
    std::string name = std::filesystem::path{instance.param}.stem();
    std::ranges::replace(name, '-', '_');
    return name;
});

}  // namespace
}  // namespace hvp::tests
