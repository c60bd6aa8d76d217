#include "tool/explain/rule_states.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hypervisor/vmcs/fields.hpp"
#include "lab/machine/models.hpp"

namespace hvp::tool {
namespace {

using Kind = RuleState::Kind;
using testing::HasSubstr;

// All that is known of the VMCS are its pin-based controls.
std::vector<RuleState> states_with_pins(std::uint64_t pins) {
    VmcsImage image;
    image.set({Item::Kind::field, vmx::pin_based_controls.encoding}, pins);
    return rule_states(Judged{image, ModelProcessor::of(lab::default_model).value()});
}

Kind kind_of(const std::vector<RuleState>& states, std::string_view id) {
    for (const RuleState& state : states) {
        if (rule_id(*state.rule) == id) {
            return state.kind;
        }
    }
    ADD_FAILURE() << id;
    return {};
}

TEST(RuleStates, AreThereForEachRule) {
    EXPECT_EQ(states_with_pins(0x16).size(), rule_count);
    EXPECT_EQ(rule_states_json(states_with_pins(0x16)).size(), rule_count);
}

TEST(RuleStates, SayWhetherARuleIsKept) {
    EXPECT_EQ(kind_of(states_with_pins(0x16), "pin-must-be-1"), Kind::kept);
    EXPECT_EQ(kind_of(states_with_pins(0), "pin-must-be-1"), Kind::broken);
    EXPECT_EQ(kind_of(states_with_pins(0x16), "primary-must-be-1"), Kind::unchecked);
    EXPECT_EQ(kind_of(states_with_pins(0x16), "basic-mode"), Kind::assumed);
}

TEST(RuleStates, AreToldBySection) {
    constexpr std::size_t width = 400;
    const std::string text = rule_states_text(states_with_pins(0), width);
    EXPECT_THAT(text,
                HasSubstr("\n  broken: pin-must-be-1\n  not checked: primary-must-be-1 (needs "));
    EXPECT_THAT(text, HasSubstr("\n  taken as kept: basic-mode, "));
}

}  // namespace
}  // namespace hvp::tool
