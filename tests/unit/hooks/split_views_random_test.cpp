// Many split pages at random, on four processors.
#include <random>

#include "tests/unit/hooks/split_views_machine.hpp"

namespace hvp::ept {
namespace {

TEST_F(EptViews, AnythingGoesRightOnFourProcessors) {
    std::mt19937_64 random{4};
    const auto below = [&random](std::uint64_t end) { return random() % end; };
    // Eight consecutive pages of which some are split, on both sides of a 2-MByte boundary.
    constexpr std::uint64_t first = 0x60'0000 - 4 * kb_4;
    const auto some_page = [&] { return first + below(8) * kb_4; };
    RecordProperty("operations", 100'000);
    std::uint32_t added = 0;
    std::uint64_t crossing = 0;
    for (int i = 0; i < 100'000 && !HasFailure(); ++i) {
        if (below(50) == 0) {
            const std::uint64_t at = some_page();
            const bool was = views_.split_pages().find(guest(at)) != nullptr;
            ASSERT_EQ(views_.remove(guest(at)), was);
            if (!was) {
                ASSERT_TRUE(views_.add(split(at, below(8))));
                ++added;
            }
            flush();
            continue;
        }
        if (below(500) == 0) {
            ASSERT_TRUE(views_.update_memory_types(arch::of_machine(64U << below(6), bits)));
            flush();
            continue;
        }
        // Every second instruction at the end of a page.
        Instruction instruction{
            .rip = some_page() + (below(2) == 0 ? below(kb_4 - 15) : kb_4 - 1 - below(15)),
            .bytes = static_cast<std::uint32_t>(1 + below(15))};
        crossing += (instruction.rip + instruction.bytes - 1) / kb_4 != instruction.rip / kb_4;
        for (std::uint64_t n = below(3); n > 0; --n) {
            const std::uint64_t address = some_page() + below(kb_4);
            // Beyond 15 bytes from RIP, or before it: no operand there is ambiguous.
            if (address + 8 <= instruction.rip || address >= instruction.rip + 15) {
                instruction.operands.push_back(
                    {.address = address, .bytes = static_cast<std::uint32_t>(1 + below(8))});
            }
            if (below(3) == 0 && !instruction.operands.empty()) {
                instruction.operands.back().written = static_cast<std::byte>(below(256));
            }
        }
        // What it writes must be there afterwards, and nothing else may have changed.
        std::map<std::uint64_t, Bytes> expected;
        for (std::uint64_t at = first - kb_4; at < first + 10 * kb_4; at += kb_4) {
            if (below(20) == 0) {
                expected[at] = memory(at);
            }
        }
        execute(static_cast<std::uint32_t>(below(processor_count)), instruction);
        for (const Operand& operand : instruction.operands) {
            for (std::uint32_t n = 0; operand.written && n < operand.bytes; ++n) {
                const std::uint64_t address = operand.address + n;
                if (const auto found = expected.find(address / kb_4 * kb_4);
                    found != expected.end()) {
                    found->second[address % kb_4] = *operand.written;
                }
            }
        }
        for (const auto& [at, bytes] : expected) {
            ASSERT_EQ(memory(at), bytes);
        }
    }
    EXPECT_GT(added, 500U);
    EXPECT_GT(crossing, 10'000U);
    EXPECT_GT(processors_[0].steps, 1000U);
    while (!views_.split_pages().all().empty()) {
        views_.remove(views_.split_pages().all()[0].page);
    }
    flush();
    for (std::uint32_t i = 0; i < processor_count; ++i) {
        EXPECT_EQ(views_.tables(View::step, i).pool().used(), 1U);
        EXPECT_EQ(views_.tables(View::step, i).pool().free() + 1,
                  views_.tables(View::step, i).pool().size());
    }
    EXPECT_EQ(views_.identity().pool().used(),
              identity_table_count(views_.mtrrs(), views_.identity().limits()));
}

}  // namespace
}  // namespace hvp::ept
