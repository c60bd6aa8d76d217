// Views of one machine, used by processors that remember as much as the SDM lets them: whatever
// they execute, they fetch from code faces, and read and write data faces.
#include "hypervisor/hooks/split_views.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <vector>

#include "tests/unit/arch/mtrr_settings.hpp"
#include "tests/unit/ept/memory.hpp"

namespace hvp::ept {
namespace {

using Kind = Answer::Kind;
using Bytes = std::array<std::byte, arch::page_bytes>;

/// Reads of some bytes, or a write of one.
struct Operand {
    std::uint64_t address;
    std::uint32_t bytes = 1;
    std::optional<std::byte> written{};
};

/// One instruction of a guest whose linear addresses are its physical ones.
struct Instruction {
    std::uint64_t rip;
    std::uint32_t bytes = 4;
    std::vector<Operand> operands{};
};

/// What a processor knows by itself.
struct Processor {
    View view = View::data;
    std::array<std::map<std::uint64_t, Leaf>, 3> remembered{};  ///< by view and page
    std::uint32_t violations{};
    std::uint32_t steps{};

    std::map<std::uint64_t, Leaf>& pages() { return remembered[static_cast<std::size_t>(view)]; }
};

class EptViews : public testing::Test {
protected:
    static constexpr std::uint32_t processor_count = 4;
    static constexpr std::uint32_t bits = 36;
    static constexpr std::size_t identity_tables = 24;
    static constexpr std::size_t stretches = 4;
    /// Frames that are none of the guest's: code faces, frames of single steps, a decoy.
    static constexpr std::uint64_t frames_start = 8 * gb_1;

    EptViews()
        : pages_(Views::pages_needed(identity_tables, processor_count, stretches)),
          links_(pages_.size()),
          views_{{.pages = pages_, .links = links_, .physical = host(0x7000'0000)},
                 identity_tables,
                 processor_count,
                 {.capability = all_capabilities, .physical_address_bits = bits}} {
        EXPECT_TRUE(views_.build(arch::of_machine(2048, bits), false));
        for (std::uint32_t i = 0; i < processor_count; ++i) {
            views_.used_by(i);
        }
    }

    Bytes& memory(std::uint64_t address) {
        const auto [found, is_new] = memory_.try_emplace(address / kb_4);
        if (is_new) {
            for (std::size_t i = 0; i < found->second.size(); ++i) {
                found->second[i] = static_cast<std::byte>((address / kb_4 * 131 + i * 7) & 0xFF);
            }
        }
        return found->second;
    }
    std::byte& byte_at(std::uint64_t address) { return memory(address)[address % kb_4]; }
    Target target(std::uint64_t page, std::uint64_t number) {
        return {
            .page = guest(page), .data = host(page), .code = host(frames_start + number * kb_4)};
    }
    static std::uint64_t step_frame(std::uint32_t processor, std::size_t part) {
        return frames_start + gb_1 + (2 * processor + part) * kb_4;
    }

    void pay() {
        for (std::uint32_t i = 0; i < processor_count; ++i) {
            for (const PendingInvalidation& due : views_.due_on(i)) {
                invept(i, due);
            }
        }
        views_.completed();
    }
    void invept(std::uint32_t number, const PendingInvalidation& due) {
        for (const View view : {View::data, View::code, View::step}) {
            const Pointer pointer = views_.pointer(view, number);
            if (due.processors.has(number) && due.pointer.frame == pointer.frame) {
                processors_[number].remembered[static_cast<std::size_t>(view)].clear();
            }
        }
    }

    /// Where the access leads; nothing: it is an EPT violation.
    std::optional<std::uint64_t> translate(std::uint32_t number, std::uint64_t address,
                                           Rights wanted);
    bool try_once(std::uint32_t number, const Instruction& instruction, GuestMemoryEvent& event);
    void step(std::uint32_t number, const Answer& answer, const Instruction& instruction);
    void execute(std::uint32_t number, const Instruction& instruction);

    std::vector<Table> pages_;
    std::vector<std::uint32_t> links_;
    Views views_;
    std::map<std::uint64_t, Bytes> memory_;
    std::array<Processor, processor_count> processors_;
    std::array<std::array<Bytes, 2>, processor_count> before_{};
};

std::optional<std::uint64_t> EptViews::translate(std::uint32_t number, std::uint64_t address,
                                                 Rights wanted) {
    Processor& processor = processors_[number];
    const auto found = processor.pages().find(address / kb_4);
    if (found != processor.pages().end() && (found->second.rights & wanted) == wanted) {
        return found->second.physical.raw() + address % kb_4;
    }
    const Walk walk = views_.tables(processor.view, number).walk(guest(address));
    if (walk.end != WalkEnd::page || (walk.rights & wanted) != wanted) {
        processor.pages().erase(address / kb_4);
        return std::nullopt;
    }
    processor.pages()[address / kb_4] = {
        .physical = walk.physical - address % kb_4, .rights = walk.rights, .type = walk.type};
    return walk.physical.raw();
}

/// Fetches and reads are compared with what the faces hold; writes are done last, all or none.
bool EptViews::try_once(std::uint32_t number, const Instruction& instruction,
                        GuestMemoryEvent& event) {
    for (std::uint32_t i = 0; i < instruction.bytes; ++i) {
        const std::uint64_t address = instruction.rip + i;
        event = {.guest_physical = guest(address), .qualification = {.execute = 1}};
        const auto physical = translate(number, address, execute_only);
        if (!physical) {
            return false;
        }
        const Target* const in = views_.targets().find(guest(address));
        const std::uint64_t expected = in == nullptr ? address : in->code.raw() + address % kb_4;
        EXPECT_EQ(byte_at(*physical), byte_at(expected)) << std::hex << address;
    }
    std::vector<std::pair<std::uint64_t, std::byte>> writes;
    for (const Operand& operand : instruction.operands) {
        for (std::uint32_t i = 0; i < operand.bytes; ++i) {
            const std::uint64_t address = operand.address + i;
            const bool write = operand.written.has_value();
            event = {.guest_physical = guest(address),
                     .qualification = {.read = 1, .write = write ? 1U : 0U}};
            const auto physical = translate(number, address, write ? read_write : read_only);
            if (!physical) {
                return false;
            }
            if (write) {
                writes.emplace_back(*physical, *operand.written);
                continue;
            }
            const Target* const in = views_.targets().find(guest(address));
            const std::uint64_t expected =
                in == nullptr ? address : in->data.raw() + address % kb_4;
            EXPECT_EQ(byte_at(*physical), byte_at(expected)) << std::hex << address;
        }
    }
    for (const auto& [physical, value] : writes) {
        byte_at(physical) = value;
    }
    return true;
}

void EptViews::step(std::uint32_t number, const Answer& answer, const Instruction& instruction) {
    Processor& processor = processors_[number];
    std::array<arch::HostPhysicalAddress, 2> frames{host(0), host(0)};
    const std::span parts{answer.parts.data(), answer.part_count};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        frames[i] = host(step_frame(number, i));
        compose(memory(frames[i].raw()), before_[number][i], memory(parts[i].target.data.raw()),
                memory(parts[i].target.code.raw()), parts[i]);
    }
    invept(number, views_.begin_step(number, parts, frames));
    processor.view = View::step;
    GuestMemoryEvent event{};
    ASSERT_TRUE(try_once(number, instruction, event)) << "a violation in the step view";
    for (std::size_t i = 0; i < parts.size(); ++i) {
        copy_back(memory(parts[i].target.data.raw()), memory(frames[i].raw()), before_[number][i]);
    }
    views_.end_step(number, parts);
    processor.view = View::code;
    ++processor.steps;
}

/// As the VMM does it, until the instruction is through.
void EptViews::execute(std::uint32_t number, const Instruction& instruction) {
    Processor& processor = processors_[number];
    constexpr int most_violations = 4;
    GuestMemoryEvent event{};
    for (int i = 0; i <= most_violations; ++i) {
        if (try_once(number, instruction, event)) {
            return;
        }
        ++processor.violations;
        InstructionPlace place{.first = guest(instruction.rip)};
        if (may_cross(instruction.rip)) {
            place.next_page = guest(instruction.rip / kb_4 * kb_4 + kb_4);
        }
        const Answer answer = answer_to(event, false, processor.view, place, views_.targets());
        switch (answer.kind) {
            case Kind::go_to_data:
                processor.view = View::data;
                break;
            case Kind::go_to_code:
                processor.view = View::code;
                break;
            case Kind::step:
                return step(number, answer, instruction);
            case Kind::not_a_target:
                FAIL() << "a violation that the views do not explain";
        }
    }
    FAIL() << "it does not come to an end";
}

// ---- One target ---------------------------------------------------------------------------------

constexpr std::uint64_t page = 0x40'5000;
constexpr std::uint64_t caller = 0x50'0000;

TEST_F(EptViews, CallsRunTheCodeFaceAndOperandsAreTheDataFace) {
    ASSERT_TRUE(views_.add(target(page, 0)));
    pay();
    const std::byte code = byte_at(frames_start + 8);
    for (int i = 0; i < 1000; ++i) {
        execute(0, {.rip = page + 8});
        execute(0, {.rip = caller, .operands = {{.address = page + 8, .bytes = 8}}});
        execute(0, {.rip = caller,
                    .operands = {{.address = page + 8, .written = static_cast<std::byte>(i)}}});
    }
    EXPECT_EQ(processors_[0].violations, 2000U) << "one for each change of view, no other";
    EXPECT_EQ(processors_[0].steps, 0U);
    EXPECT_EQ(byte_at(page + 8), static_cast<std::byte>(999));
    EXPECT_EQ(byte_at(frames_start + 8), code) << "the code face stays";
}

TEST_F(EptViews, AnInstructionThatReadsAndWritesItsOwnPageIsRightInOneStep) {
    ASSERT_TRUE(views_.add(target(page, 0)));
    pay();
    for (int i = 0; i < 1000; ++i) {
        const auto value = static_cast<std::byte>(i);
        execute(0, {.rip = page + 8,
                    .operands = {{.address = page + 64, .bytes = 16},
                                 {.address = page + 32, .written = value}}});
        ASSERT_EQ(byte_at(page + 32), value);
    }
    EXPECT_EQ(processors_[0].steps, 1000U);
    EXPECT_EQ(processors_[0].violations, 1U + 1000) << "the first fetch, then one for each operand";
}

TEST_F(EptViews, ARemovedTargetIsAsBeforeAndNoTableIsLost) {
    std::vector<Walk> before;
    for (std::uint64_t address = 0; address < 2 * mb_2; address += kb_4) {
        before.push_back(views_.tables(View::data, 0).walk(guest(0x40'0000 + address)));
    }
    ASSERT_TRUE(views_.add(target(page, 0)));
    ASSERT_TRUE(views_.add(target(page + gb_1, 1)));
    pay();
    const Walk split = views_.tables(View::data, 0).walk(guest(page + kb_4));
    EXPECT_EQ(split.last().level, Level::page_table);
    EXPECT_EQ(split.physical.raw(), page + kb_4);
    EXPECT_EQ(split.rights, everything);
    EXPECT_EQ(split.type, before[6].type);
    EXPECT_EQ(views_.tables(View::code, 0).pool().used(), 1U + 2 + 2 + 1)
        << "a way to each of two gigabytes, below one page-directory-pointer table";
    EXPECT_TRUE(views_.remove(guest(page)));
    EXPECT_FALSE(views_.remove(guest(page)));
    EXPECT_TRUE(views_.remove(guest(page + gb_1)));
    pay();
    for (std::uint32_t i = 0; i < processor_count; ++i) {
        for (const View view : {View::data, View::code, View::step}) {
            EXPECT_EQ(views_.tables(view, i).pool().used(), 1U);
            EXPECT_EQ(views_.tables(view, i).pool().retired(), 0U);
        }
    }
    for (std::uint64_t i = 0; i < before.size(); ++i) {
        const Walk now = views_.tables(View::data, 0).walk(guest(0x40'0000 + i * kb_4));
        ASSERT_EQ(now.last().entry, before[i].last().entry);
        ASSERT_EQ(now.physical.raw(), before[i].physical.raw());
    }
}

TEST_F(EptViews, WhatOneProcessorDoesOwesNothingToAnother) {
    ASSERT_TRUE(views_.add(target(page, 0)));
    pay();
    execute(2, {.rip = page, .operands = {{.address = page + 64}}});
    for (const std::uint32_t other : {0U, 1U, 3U}) {
        EXPECT_TRUE(views_.due_on(other)[0].is_nothing());
    }
}

TEST_F(EptViews, ATargetIsInAllViewsOrInNone) {
    std::uint64_t added = 0;
    std::expected<void, TargetError> result;
    while ((result = views_.add(target(added * gb_1 + page, added)))) {
        ++added;
    }
    EXPECT_EQ(result.error(), TargetError::no_table_left);
    EXPECT_EQ(added, (Views::pages_of_view(stretches) - 2) / 2) << "two tables for each gigabyte";
    EXPECT_EQ(views_.targets().all().size(), added);
    pay();
    for (std::uint32_t i = 0; i < processor_count; ++i) {
        for (const View view : {View::data, View::code, View::step}) {
            const Walk walk = views_.tables(view, i).walk(guest(added * gb_1 + page));
            EXPECT_EQ(walk.physical.raw(), added * gb_1 + page);
            EXPECT_EQ(walk.rights, everything);
        }
    }
    EXPECT_EQ(views_.add({.page = guest(page + kb_4), .data = host(1ULL << bits), .code = host(0)})
                  .error(),
              TargetError::out_of_range);
}

TEST_F(EptViews, WhoeverLooksIntoHiddenPagesSeesTheDecoy) {
    constexpr std::uint64_t decoy = frames_start + 2 * gb_1;
    memory(decoy).fill(std::byte{0});
    ASSERT_TRUE(views_.add(target(page, 0)));
    ASSERT_TRUE(views_.hide(guest(page + kb_4), 3 * kb_4, host(decoy)));
    pay();
    for (std::uint32_t i = 0; i < processor_count; ++i) {
        for (const View view : {View::data, View::code, View::step}) {
            for (std::uint64_t at = page + kb_4; at < page + 4 * kb_4; at += kb_4) {
                const Walk walk = views_.tables(view, i).walk(guest(at));
                ASSERT_EQ(walk.physical.raw(), decoy);
                ASSERT_EQ(walk.rights, read_write);
            }
            EXPECT_EQ(views_.tables(view, i).walk(guest(page + 4 * kb_4)).rights, everything);
        }
    }
    EXPECT_TRUE(views_.remove(guest(page)));
    pay();
    EXPECT_EQ(views_.tables(View::code, 1).walk(guest(page + kb_4)).physical.raw(), decoy);
    EXPECT_EQ(views_.tables(View::code, 1).pool().used(), 1U) << "the identity has the decoys";
}

TEST_F(EptViews, FollowTheMtrrs) {
    ASSERT_TRUE(views_.add(target(page, 0)));
    ASSERT_TRUE(views_.hide(guest(0x60'0000), kb_4, host(0x7000)));
    pay();
    arch::MtrrSnapshot after = arch::of_machine(2048, bits);
    after.default_type.enabled = 0;
    ASSERT_TRUE(views_.retype(after));
    EXPECT_FALSE(views_.due_on(1)[0].is_nothing());
    pay();
    for (const View view : {View::data, View::code, View::step}) {
        Tables& tables = views_.tables(view, 1);
        for (const std::uint64_t at : {page, page + kb_4, 5 * gb_1}) {
            EXPECT_EQ(tables.walk(guest(at)).type, MemoryType::uncacheable);
        }
        EXPECT_EQ(tables.walk(guest(page)).rights, view == View::code ? execute_only : read_write);
        EXPECT_EQ(tables.walk(guest(0x60'0000)).physical.raw(), 0x7000U);
    }
}

// ---- Many, at random ----------------------------------------------------------------------------

TEST_F(EptViews, AnythingGoesRightOnFourProcessors) {
    std::mt19937_64 random{4};
    const auto below = [&random](std::uint64_t end) { return random() % end; };
    // Eight pages in a row of which some are targets, on both sides of a 2-MByte boundary.
    constexpr std::uint64_t first = 0x60'0000 - 4 * kb_4;
    const auto some_page = [&] { return first + below(8) * kb_4; };
    RecordProperty("operations", 100'000);
    std::uint32_t added = 0;
    std::uint64_t crossing = 0;
    for (int i = 0; i < 100'000 && !HasFailure(); ++i) {
        if (below(50) == 0) {
            const std::uint64_t at = some_page();
            const bool was = views_.targets().find(guest(at)) != nullptr;
            ASSERT_EQ(views_.remove(guest(at)), was);
            if (!was) {
                ASSERT_TRUE(views_.add(target(at, below(8))));
                ++added;
            }
            pay();
            continue;
        }
        if (below(500) == 0) {
            ASSERT_TRUE(views_.retype(arch::of_machine(64U << below(6), bits)));
            pay();
            continue;
        }
        // Every second instruction at the end of a page.
        Instruction instruction{
            .rip = some_page() + (below(2) == 0 ? below(kb_4 - 15) : kb_4 - 1 - below(15)),
            .bytes = static_cast<std::uint32_t>(1 + below(15))};
        crossing += (instruction.rip + instruction.bytes - 1) / kb_4 != instruction.rip / kb_4;
        for (std::uint64_t n = below(3); n > 0; --n) {
            const std::uint64_t address = some_page() + below(kb_4);
            // Behind 15 bytes from RIP, or before it: what lies there is right in any case.
            if (address + 8 <= instruction.rip || address >= instruction.rip + 15) {
                instruction.operands.push_back(
                    {.address = address, .bytes = static_cast<std::uint32_t>(1 + below(8))});
            }
            if (below(3) == 0 && !instruction.operands.empty()) {
                instruction.operands.back().written = static_cast<std::byte>(below(256));
            }
        }
        // What it writes must be there behind, and nothing else may have changed.
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
    while (!views_.targets().all().empty()) {
        views_.remove(views_.targets().all()[0].page);
    }
    pay();
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
