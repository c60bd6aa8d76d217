#include "tests/unit/hooks/split_views_machine.hpp"

#include <utility>

namespace hvp::ept {

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

/// Fetches and reads are compared with what the frames hold; writes are made last, all or none.
bool EptViews::try_once(std::uint32_t number, const Instruction& instruction,
                        GuestMemoryEvent& event) {
    for (std::uint32_t i = 0; i < instruction.bytes; ++i) {
        const std::uint64_t address = instruction.rip + i;
        event = {.guest_physical = guest(address), .qualification = {.execute = 1}};
        const auto physical = translate(number, address, execute_only);
        if (!physical) {
            return false;
        }
        const SplitPage* const in = views_.split_pages().find(guest(address));
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
            const SplitPage* const in = views_.split_pages().find(guest(address));
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

void EptViews::step(std::uint32_t number, const ViolationResponse& response,
                    const Instruction& instruction) {
    Processor& processor = processors_[number];
    std::array<arch::HostPhysicalAddress, 2> frames{host(0), host(0)};
    const std::span parts{response.parts.data(), response.part_count};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        frames[i] = host(step_frame(number, i));
        compose(memory(frames[i].raw()), before_[number][i], memory(parts[i].split_page.data.raw()),
                memory(parts[i].split_page.code.raw()), parts[i]);
    }
    invept(number, views_.begin_step(number, parts, frames));
    processor.view = View::step;
    GuestMemoryEvent event{};
    ASSERT_TRUE(try_once(number, instruction, event)) << "a violation in the step view";
    for (std::size_t i = 0; i < parts.size(); ++i) {
        copy_back(memory(parts[i].split_page.data.raw()), memory(frames[i].raw()),
                  before_[number][i]);
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
        const ViolationResponse response =
            respond_to(event, false, processor.view, place, views_.split_pages());
        switch (response.kind) {
            case ViolationResponse::Kind::switch_to_data:
                processor.view = View::data;
                break;
            case ViolationResponse::Kind::switch_to_code:
                processor.view = View::code;
                break;
            case ViolationResponse::Kind::step:
                return step(number, response, instruction);
            case ViolationResponse::Kind::not_split:
                FAIL() << "a violation that the views do not explain";
        }
    }
    FAIL() << "it does not terminate";
}

}  // namespace hvp::ept
