// Each rule of VM entry by itself: a VMCS that keeps it, and the neighbour that breaks it and no
// other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <map>
#include <set>

#include "tests/unit/vmcs/entry_checks/subject.hpp"

namespace hvp::vmx::checks {

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Case> all_cases() {
    std::vector<Case> all;
    for (auto part : {control_cases, host_cases, guest_register_cases, guest_segment_cases,
                      guest_state_cases}) {
        std::ranges::copy(part(), std::back_inserter(all));
    }
    return all;
}

const EntryRule& rule_called(const std::string& id) {
    const auto* const found = std::ranges::find(all_rules, id, id_of);
    EXPECT_NE(found, all_rules.end()) << id;
    return *found;
}

/// A table, not a test for each: three hundred processes would take a minute to start.
template <typename Look>
void for_each_case(Look look) {
    for (const Case& one : all_cases()) {
        SCOPED_TRACE(one.id);
        Subject subject = windows_guest();
        one.valid(subject);
        look(one, subject);
    }
}

TEST(EachRule, HoldsAndIsBrokenAlone) {
    for_each_case([](const Case& one, Subject& subject) {
        const Report before = report_on(subject);
        EXPECT_THAT(before.broken, IsEmpty());
        EXPECT_THAT(before.unchecked, IsEmpty());
        one.broken(subject);
        std::vector<std::string> expected{one.id};
        if (!one.also.empty()) {
            expected.push_back(one.also);
        }
        const Report after = report_on(subject);
        EXPECT_THAT(after.broken, testing::UnorderedElementsAreArray(expected));
        EXPECT_THAT(after.unchecked, IsEmpty());
    });
}

// The first item is the one that breaks the rule: without it the rule is listed as not checked, and
// claims nothing.
TEST(EachRule, CannotBeToldWithoutWhatItIsAbout) {
    for_each_case([](const Case& one, Subject& subject) {
        one.broken(subject);
        subject.forget(rule_called(one.id).items.items[0]);
        const Report report = report_on(subject);
        EXPECT_THAT(report.broken, testing::Not(testing::Contains(one.id)));
        EXPECT_THAT(report.unchecked, testing::Contains(one.id));
    });
}

// Bits that are blamed are bits of the rule's first field, and with them turned round the rule
// holds.
TEST(EachRule, BlamesTheBitsThatAreWrong) {
    int blamed = 0;
    for_each_case([&](const Case& one, Subject& subject) {
        one.broken(subject);
        const EntryRule& rule = rule_called(one.id);
        VmcsUnderTest x{subject, subject};
        const CheckResult answer = rule.check(x);
        ASSERT_TRUE(answer.broken);
        const Item first = rule.items.items[0];
        // Where a whole part of a field is blamed, there is more than one way to repair it.
        if (std::popcount(answer.wrong_bits) != 1 || first.kind != Item::Kind::field) {
            return;
        }
        const auto value = subject.find(static_cast<std::uint32_t>(first.number));
        subject.set(first, value.value_or(0) ^ answer.wrong_bits);
        VmcsUnderTest repaired{subject, subject};
        EXPECT_FALSE(rule.check(repaired).broken);
        ++blamed;
    });
    EXPECT_GT(blamed, 100);
}

TEST(Rules, EachHasACaseAndACaseHasOneRule) {
    std::multiset<std::string> rules;
    for (const EntryRule& rule : all_rules) {
        rules.insert(id_of(rule));
    }
    std::multiset<std::string> cases;
    for (const Case& one : all_cases()) {
        cases.insert(one.id);
    }
    std::vector<std::string> without;
    std::ranges::set_difference(rules, cases, std::back_inserter(without));
    EXPECT_THAT(without, IsEmpty());
    std::vector<std::string> unknown;
    std::ranges::set_difference(cases, rules, std::back_inserter(unknown));
    EXPECT_THAT(unknown, IsEmpty());
    EXPECT_EQ(std::set<std::string>(rules.begin(), rules.end()).size(), rules.size());
}

// A rule that gets lost is noticed here.
TEST(Rules, AreSoManyInEachSection) {
    std::map<std::string, int> count;
    for (const EntryRule& rule : all_rules) {
        ++count[rule.section->section];
    }
    for (const auto& [section, number] : count) {
        std::printf("%-10s %3d\n", section.c_str(), number);
        testing::Test::RecordProperty("section " + section, number);
    }
    EXPECT_THAT(count, testing::UnorderedElementsAreArray(std::map<std::string, int>{
                           {"26.1", 7},
                           {"26.2.1.1", 50},
                           {"26.2.1.2", 9},
                           {"26.2.1.3", 18},
                           {"26.2.2", 16},
                           {"26.2.3", 15},
                           {"26.2.4", 10},
                           {"26.3.1.1", 25},
                           {"26.3.1.2", 100},
                           {"26.3.1.3", 4},
                           {"26.3.1.4", 6},
                           {"26.3.1.5", 31},
                           {"26.3.1.6", 8},
                           {"26.4", 6},
                       }));
}

// The SDM's groups come in its order.
TEST(Rules, StandInTheManualsOrder) {
    std::vector<std::string> sections;
    for (const EntryRule& rule : all_rules) {
        if (sections.empty() || sections.back() != rule.section->section) {
            sections.emplace_back(rule.section->section);
        }
    }
    EXPECT_THAT(sections, ElementsAre("26.1", "26.2.1.1", "26.2.1.2", "26.2.1.3", "26.2.2",
                                      "26.2.3", "26.2.4", "26.3.1.1", "26.3.1.2", "26.3.1.3",
                                      "26.3.1.4", "26.3.1.5", "26.3.1.6", "26.4"));
}

// Secondary controls count as 0 while they are not activated, and what they switch on is not asked.
TEST(Rules, LookAtNoSecondaryControlThatIsNotActivated) {
    Subject subject = windows_guest();
    subject.off(Primary::activate_secondary_controls);
    subject.forget(item(secondary_processor_based_controls));
    EXPECT_THAT(report_on(subject).broken, IsEmpty());
    EXPECT_THAT(report_on(subject).unchecked, IsEmpty());
    subject.set(secondary_processor_based_controls, 0xFFFF'FFFF);
    EXPECT_THAT(report_on(subject).broken, IsEmpty());
}

// An old processor without the TRUE MSRs.
TEST(Rules, AskThePlainMsrsWhereThereAreNoOthers) {
    Subject subject = windows_guest();
    subject.set(Msr::vmx_basic, 0x0058'1000'0000'002B);
    for (const Msr msr : {Msr::vmx_pinbased_ctls, Msr::vmx_procbased_ctls, Msr::vmx_exit_ctls,
                          Msr::vmx_entry_ctls}) {
        subject.set(msr, 0xFFFF'FFFF'0000'0000);
    }
    EXPECT_THAT(report_on(subject).broken, IsEmpty());
    subject.set(Msr::vmx_pinbased_ctls, 0xFFFF'FFFF'0000'0016);
    EXPECT_THAT(report_on(subject).broken, ElementsAre("pin-must-be-1"));
}

// IA32_VMX_BASIC[48]: addresses have 32 bits, whatever the processor's width is.
TEST(Rules, KnowProcessorsThatTake32BitAddressesOnly) {
    Subject subject = windows_guest();
    subject.on(Primary::use_msr_bitmaps).set(msr_bitmap_address, 0x1'0000'0000);
    EXPECT_THAT(report_on(subject).broken, IsEmpty());
    subject.add(Msr::vmx_basic, 1ULL << 48);
    EXPECT_THAT(report_on(subject).broken, ElementsAre("msr-bitmap-width"));
}

// The other modes that a guest may be in are good as they are.
TEST(Rules, KnowTheGuestsModes) {
    for (auto make : {make_32_bit, make_8086, make_real_mode, make_32_bit_host}) {
        Subject subject = windows_guest();
        make(subject);
        EXPECT_THAT(report_on(subject).broken, IsEmpty());
        EXPECT_THAT(report_on(subject).unchecked, IsEmpty());
    }
}

}  // namespace
}  // namespace hvp::vmx::checks
