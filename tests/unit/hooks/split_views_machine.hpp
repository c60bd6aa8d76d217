// A machine with split views, used by processors that cache as much as the SDM lets them: whatever
// they execute, they fetch from code frames, and read and write data frames.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "hypervisor/hooks/split_views.hpp"
#include "tests/unit/arch/mtrr_settings.hpp"
#include "tests/unit/ept/memory.hpp"

namespace hvp::ept {

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

/// What a processor has in its caches.
struct Processor {
    View view = View::data;
    std::array<std::map<std::uint64_t, Leaf>, 3> cached{};  ///< by view and page
    std::uint32_t violations{};
    std::uint32_t steps{};

    std::map<std::uint64_t, Leaf>& pages() { return cached[static_cast<std::size_t>(view)]; }
};

class EptViews : public testing::Test {
protected:
    static constexpr std::uint32_t processor_count = 4;
    static constexpr std::uint32_t bits = 36;
    static constexpr std::size_t identity_tables = 24;
    static constexpr std::size_t regions = 4;
    /// Frames that the guest does not map: code frames, frames of single steps, a decoy.
    static constexpr std::uint64_t frames_start = 8 * gb_1;

    EptViews()
        : pages_(SplitViews::pages_needed(identity_tables, processor_count, regions)),
          links_(pages_.size()),
          views_{{.pages = pages_, .links = links_, .physical = host(0x7000'0000)},
                 identity_tables,
                 processor_count,
                 {.capability = all_capabilities, .physical_address_bits = bits}} {
        EXPECT_TRUE(views_.build(arch::of_machine(2048, bits), false));
        for (std::uint32_t i = 0; i < processor_count; ++i) {
            views_.attach(i);
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
    SplitPage split(std::uint64_t page, std::uint64_t number) {
        return {
            .page = guest(page), .data = host(page), .code = host(frames_start + number * kb_4)};
    }
    static std::uint64_t step_frame(std::uint32_t processor, std::size_t part) {
        return frames_start + gb_1 + (2 * processor + part) * kb_4;
    }

    void flush() {
        for (std::uint32_t i = 0; i < processor_count; ++i) {
            for (const PendingInvalidation& pending : views_.pending_on(i)) {
                invept(i, pending);
            }
        }
        views_.flush_done();
    }
    void invept(std::uint32_t number, const PendingInvalidation& pending) {
        for (const View view : {View::data, View::code, View::step}) {
            const Pointer pointer = views_.pointer(view, number);
            if (pending.processors.has(number) && pending.pointer.frame == pointer.frame) {
                processors_[number].cached[static_cast<std::size_t>(view)].clear();
            }
        }
    }

    /// Where the access leads; nothing: it is an EPT violation.
    std::optional<std::uint64_t> translate(std::uint32_t number, std::uint64_t address,
                                           Rights wanted);
    bool try_once(std::uint32_t number, const Instruction& instruction, GuestMemoryEvent& event);
    void step(std::uint32_t number, const ViolationResponse& response,
              const Instruction& instruction);
    void execute(std::uint32_t number, const Instruction& instruction);

    std::vector<Table> pages_;
    std::vector<std::uint32_t> links_;
    SplitViews views_;
    std::map<std::uint64_t, Bytes> memory_;
    std::array<Processor, processor_count> processors_;
    std::array<std::array<Bytes, 2>, processor_count> before_{};
};

}  // namespace hvp::ept
