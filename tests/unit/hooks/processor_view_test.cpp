// One processor and its views: where each violation leads, what is left after a step, and that
// pages are split and merged in all views alike.
#include "hypervisor/hooks/processor_view.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <vector>

#include "tests/unit/arch/mtrr_settings.hpp"
#include "tests/unit/ept/memory.hpp"

namespace hvp::ept {
namespace {

using Kind = ProcessorView::Outcome::Kind;

class EptProcessorView : public testing::Test {
protected:
    static constexpr std::uint32_t bits = 36;
    static constexpr std::size_t identity_tables = 24;
    static constexpr std::uint64_t page = 0x4020'3000;
    static constexpr std::uint64_t code = 8 * gb_1;

    EptProcessorView()
        : pages_(SplitViews::pages_needed(identity_tables, 1, 2)),
          links_(pages_.size()),
          views_{{.pages = pages_, .links = links_, .physical = host(0x7000'0000)},
                 identity_tables,
                 1,
                 {.capability = all_capabilities, .physical_address_bits = bits}},
          view_{views_, 0, frames_, host(0x7800'0000), {.show = show, .context = this}} {
        EXPECT_TRUE(views_.build(arch::of_machine(2048, bits), true));
        views_.attach(0);
        memory(page).fill(std::byte{0xDA});
        memory(code).fill(std::byte{0xC0});
        EXPECT_TRUE(views_.add({.page = guest(page), .data = host(page), .code = host(code)}));
    }

    StepFrames::Bytes& memory(std::uint64_t address) { return memory_[address / kb_4]; }
    static std::byte* show(void* self, std::size_t, arch::HostPhysicalAddress address) {
        return static_cast<EptProcessorView*>(self)->memory(address.raw()).data();
    }
    Kind violation(ViolationQualification access, std::uint64_t rip, bool during_delivery = false) {
        return view_
            .on_violation({.guest_physical = guest(page), .qualification = access}, during_delivery,
                          {.first = guest(rip)})
            .kind;
    }
    static constexpr ViolationQualification read{.read = 1};
    static constexpr ViolationQualification write{.write = 1};
    static constexpr ViolationQualification fetch{.execute = 1};

    std::vector<Table> pages_;
    std::vector<std::uint32_t> links_;
    SplitViews views_;
    StepFrames frames_{};
    std::map<std::uint64_t, StepFrames::Bytes> memory_{};
    ProcessorView view_;
};

TEST_F(EptProcessorView, ChangesItsPointerAndNoEntry) {
    const Pointer data = view_.pointer();
    EXPECT_EQ(violation(fetch, page), Kind::changed);
    EXPECT_EQ(view_.view(), View::code);
    EXPECT_NE(view_.pointer().frame, data.frame);
    EXPECT_EQ(violation(write, 0x1000), Kind::changed) << "by code elsewhere";
    EXPECT_EQ(view_.pointer().frame, data.frame);
    EXPECT_EQ(view_.changes_to(View::code), 1U);
    EXPECT_EQ(view_.changes_to(View::data), 1U);
}

TEST_F(EptProcessorView, AStepIsPaidForAndWhatItWroteIsKept) {
    EXPECT_EQ(violation(fetch, page), Kind::changed);
    const auto outcome = view_.on_violation({.guest_physical = guest(page), .qualification = write},
                                            false, {.first = guest(page + 0x100)});
    EXPECT_EQ(outcome.kind, Kind::step);
    EXPECT_TRUE(view_.before_step().processors.has(0)) << "the page leads to another frame";
    EXPECT_EQ(view_.before_step().pointer.frame, view_.pointer().frame);
    EXPECT_EQ(frames_.frames[0][0x100], std::byte{0xC0}) << "the instruction";
    EXPECT_EQ(frames_.frames[0][0x10F], std::byte{0xDA}) << "after 15 bytes";
    EXPECT_EQ(view_.instruction({.first = guest(page + 0x100)})[0], 0xC0);
    frames_.frames[0][0x800] = std::byte{0x77};  // the instruction
    view_.after_step();
    EXPECT_EQ(view_.view(), View::data);
    EXPECT_EQ(memory(page)[0x800], std::byte{0x77});
    EXPECT_EQ(memory(page)[0x100], std::byte{0xDA}) << "it has not written its own bytes";
    EXPECT_EQ(memory(code)[0x800], std::byte{0xC0});
}

// The access belongs to the event, and the handler's fetch comes after it.
TEST_F(EptProcessorView, DeliveryNeedsNoStep) {
    EXPECT_EQ(violation(fetch, page), Kind::changed);
    EXPECT_EQ(violation(write, page + 0x100, true), Kind::changed);
    EXPECT_EQ(view_.view(), View::data);
}

TEST_F(EptProcessorView, RefusesWhatNoViewAllows) {
    EXPECT_EQ(
        view_.on_violation({.guest_physical = guest(page + kb_4), .qualification = read}, false, {})
            .kind,
        Kind::refused);
}

TEST_F(EptProcessorView, AnInstructionEndsAtItsPage) {
    EXPECT_EQ(view_.instruction({.first = guest(page + kb_4 - 2)}).size(), 2U);
    EXPECT_EQ(view_.instruction({.first = guest(0x5000)}).size(), 15U);
}

TEST_F(EptProcessorView, PagesAreSplitAndMergedInAllViews) {
    const auto far = guest(0x6000'0000);
    const Level before = views_.identity().walk(far).last().level;
    ASSERT_GT(before, Level::page_table);
    EXPECT_FALSE(views_.clear_accessed_flags(far)) << "a large page has one flag for all";
    ASSERT_TRUE(views_.split(far));
    for (const View view : {View::data, View::code, View::step}) {
        EXPECT_EQ(views_.tables(view, 0).walk(far).last().level, Level::page_table);
    }
    EXPECT_TRUE(views_.clear_accessed_flags(far));
    views_.flush_done();
    EXPECT_TRUE(views_.merge(far, Level::directory));
    for (const View view : {View::data, View::code, View::step}) {
        EXPECT_EQ(views_.tables(view, 0).walk(far).last().level, Level::directory);
    }
    views_.flush_done();
}

}  // namespace
}  // namespace hvp::ept
