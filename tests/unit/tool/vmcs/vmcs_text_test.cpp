#include "tool/vmcs/vmcs_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hypervisor/vmcs/names/control_meanings.hpp"
#include "lab/machine/models.hpp"
#include "tool/explain/texts/value_words.hpp"

namespace hvp::tool {
namespace {

using testing::HasSubstr;
using testing::Not;
using Moment = RecordedState::Moment;

RecordedState entry() {
    return {.moment = Moment::entry,
            .number = 1,
            .cpu = 0,
            .t = 2000,
            .vmcs = 0x1000,
            .fields = {{0x4000, 0x16}, {0x4002, 0x80}, {0x4402, 0}, {0x6400, 0}, {0x681E, 0x10}},
            .registers = {{"rax", 1}, {"r10", 2}}};
}

RecordedState exit_after(RecordedState state) {
    state.moment = Moment::exit;
    state.fields[0x4402] = 28;      // control-register access
    state.fields[0x6400] = 0x13;    // MOV from CR3 to RAX
    state.fields[0x4002] = 0x8080;  // and CR3-load exiting
    state.registers["rax"] = 7;
    return state;
}

TEST(VmcsText, HasFieldsByTheManualsGroupsInWords) {
    const std::string text = vmcs_text(entry(), nullptr, {});
    EXPECT_THAT(text, HasSubstr("entry 1, at instruction 2 000; VMCS 0x1000\n"));
    EXPECT_THAT(text, HasSubstr("\"Guest-State Area\"; 2022: 25.4]\n  Guest RIP "));
    EXPECT_THAT(text, HasSubstr("      1 bit  7 HLT exiting: HLT is a VM exit\n"));
    EXPECT_THAT(text, Not(HasSubstr("*")));
    EXPECT_THAT(text, Not(HasSubstr("Exit reason")));
    EXPECT_THAT(vmcs_text(entry(), nullptr, {.all_fields = true}), HasSubstr("Exit reason"));
}

TEST(VmcsText, MarksWhatHasChanged) {
    const RecordedState before = entry();
    const std::string text = vmcs_text(exit_after(before), &before, {});
    EXPECT_THAT(text, HasSubstr("exit 1: exit 28 control-register access"));
    EXPECT_THAT(text, HasSubstr("* has changed since entry 1.\n"));
    EXPECT_THAT(text, HasSubstr("0x13  MOV from CR3 to RAX  (was 0x0)\n"));
    EXPECT_THAT(text, HasSubstr("*     1 bit 15 CR3-load exiting: "));
    EXPECT_THAT(text, HasSubstr("      1 bit  7 HLT exiting: "));
    EXPECT_THAT(text, HasSubstr("* rax = 0x0000000000000007"));
    EXPECT_THAT(text, HasSubstr("  r10 = 0x0000000000000002"));
}

TEST(VmcsText, SaysWhereTheGuestIs) {
    RecordedState state = entry();
    EXPECT_THAT(vmcs_text(state, nullptr, {}), Not(HasSubstr("Guest RIP:")));
    state.place = "x.sys+0x10  f, x.cpp:1";
    EXPECT_THAT(vmcs_text(state, nullptr, {}), HasSubstr("\nGuest RIP: x.sys+0x10  f, x.cpp:1\n"));
    state.instruction = "cpuid";
    EXPECT_THAT(vmcs_text(state, nullptr, {}), HasSubstr("f, x.cpp:1: cpuid\n"));
    EXPECT_EQ(vmcs_json(state, nullptr)["instruction"], "cpuid");
}

TEST(VmcsText, SaysWhichBitsTheProcessorForces) {
    const auto model = ModelProcessor::of(lab::default_model);
    ASSERT_TRUE(model);
    EXPECT_THAT(vmcs_text(entry(), nullptr, {.processor = &*model}),
                HasSubstr("      1 bits 2:1, 4: reserved, always 1 on this processor\n"));
    EXPECT_THAT(vmcs_text(entry(), nullptr, {}), Not(HasSubstr("always 1")));
}

TEST(VmcsDifference, HasBothValues) {
    const std::string text = vmcs_difference(entry(), exit_after(entry()));
    EXPECT_THAT(text, HasSubstr("from entry 1 to exit 1: exit 28 control-register access\n"));
    EXPECT_THAT(text, HasSubstr("  Exit qualification (0x6400)\n    0x0\n    0x13  MOV from CR3"));
    EXPECT_THAT(text, HasSubstr("  rax   0x0000000000000001  0x0000000000000007\n"));
    EXPECT_THAT(vmcs_difference(entry(), entry()), HasSubstr("nothing differs\n"));
}

TEST(VmcsJson, HasNamesWordsAndWhatWasBefore) {
    const RecordedState before = entry();
    const Json json = vmcs_json(exit_after(before), &before);
    EXPECT_EQ(json["at"], "exit");
    for (const Json& field : json["fields"]) {
        if (field["encoding"] == "0x6400") {
            EXPECT_EQ(field["words"], "MOV from CR3 to RAX");
            EXPECT_EQ(field["was"], "0x0");
        }
    }
}

// Each control that has a name has an effect, and the other way round.
TEST(ControlMeanings, AreThereForEachNamedControl) {
    using vmx::Shape;
    for (const Shape shape :
         {Shape::pin_controls, Shape::primary_controls, Shape::secondary_controls,
          Shape::exit_controls, Shape::entry_controls}) {
        const auto names = names_of_bits(shape);
        const auto meanings = vmx::control_meanings(shape);
        ASSERT_EQ(names.size(), meanings.size());
        for (std::size_t i = 0; i < names.size(); ++i) {
            EXPECT_EQ(names[i].mask, meanings[i].mask) << names[i].name;
        }
    }
}

}  // namespace
}  // namespace hvp::tool
