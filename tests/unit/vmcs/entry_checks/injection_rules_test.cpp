// What must be true of an injected event is said twice: in the table of all rules, which explains a
// failed entry, and in broken_rule, by which the VMM does not let one fail. They must agree.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "hypervisor/events/arbitration.hpp"
#include "tests/unit/vmcs/entry_checks/subject.hpp"

namespace hvp::vmx::checks {
namespace {

/// The rules that look at the field of the injected event.
std::vector<const EntryRule*> rules_about_injection() {
    std::vector<const EntryRule*> rules;
    for (const EntryRule& rule : all_rules) {
        const auto& items = rule.items.items;
        if (std::ranges::any_of(items, [](const Item& one) {
                return one.kind == Item::Kind::field &&
                       one.number == decltype(entry_interruption_information)::encoding;
            })) {
            rules.push_back(&rule);
        }
    }
    return rules;
}

/// A guest on a processor of the kind that broken_rule speaks of.
Subject strict_processor() {
    constexpr std::uint64_t takes_length_0 = 1U << 30;
    Subject subject = windows_guest();
    subject.remove(Msr::vmx_misc, takes_length_0);
    subject.set(Fact::nmi_under_sti_refused, 1);
    subject.on(Pin::nmi_exiting, Pin::virtual_nmis);
    return subject;
}

class InjectionRules : public testing::Test {
protected:
    /// Both answers about one event in one state.
    void compare(const Event& event, const GuestBlockingState& guest) {
        constexpr std::uint64_t interrupt_enable = 0x200;
        subject_.set(entry_interruption_information, std::bit_cast<std::uint32_t>(event.what));
        subject_.set(entry_exception_error_code, event.error_code);
        subject_.set(entry_instruction_length, event.instruction_length);
        subject_.set(guest_interruptibility_state, guest.interruptibility.raw());
        subject_.set(guest_activity_state, static_cast<std::uint64_t>(guest.activity));
        subject_.remove(guest_rflags, interrupt_enable);
        subject_.add(guest_rflags, guest.interrupts_enabled ? interrupt_enable : 0);
        const EntryRule* broken = nullptr;
        for (const EntryRule* const rule : rules_) {
            VmcsUnderTest x{subject_, subject_};
            broken = broken == nullptr && rule->check(x).broken ? rule : broken;
        }
        const auto said = broken_rule(event, guest);
        EXPECT_EQ(said == InjectionRule::kept, broken == nullptr)
            << std::hex << "event " << std::bit_cast<std::uint32_t>(event.what) << ", error code "
            << event.error_code << ", length " << event.instruction_length << ", blocking "
            << guest.interruptibility.raw() << ", IF " << guest.interrupts_enabled << ", activity "
            << static_cast<unsigned>(guest.activity) << ": " << static_cast<unsigned>(said)
            << " and " << (broken != nullptr ? id_of(*broken) : "no rule");
        ++compared_;
        refused_ += broken != nullptr ? 1 : 0;
    }

    std::vector<const EntryRule*> rules_{rules_about_injection()};
    Subject subject_{strict_processor()};
    std::size_t compared_{};
    std::size_t refused_{};
};

// A processor may leave it to the VMM which exceptions have an error code.
TEST_F(InjectionRules, AreTheSameInTheTableWhereAnyExceptionMayHaveAnErrorCode) {
    subject_.add(Msr::vmx_basic, 1ULL << 56);
    for (std::uint32_t type = 0; type < 7; ++type) {
        for (std::uint32_t vector = 0; vector < 40; ++vector) {
            for (const std::uint32_t has_error_code : {0U, 1U << 11}) {
                for (const std::uint32_t error_code : {0U, 0xFFF8U, 0x1'0000U}) {
                    const std::uint32_t field = vector | type << 8 | has_error_code | 1U << 31;
                    compare({.what = std::bit_cast<InterruptionInformation>(field),
                             .error_code = error_code,
                             .instruction_length = 2},
                            {.interrupts_enabled = true, .any_error_code = true});
                }
            }
        }
    }
    EXPECT_GT(refused_, 500U);
    EXPECT_GT(compared_ - refused_, 100U);
}

// Type 7 is not among them: this VMM injects none, wherever the processor would take it.
TEST_F(InjectionRules, AreTheSameInTheTableForEveryEvent) {
    EXPECT_GT(rules_.size(), 12U);
    for (std::uint32_t type = 0; type < 7; ++type) {
        for (std::uint32_t vector = 0; vector < 256; vector += vector < 40 ? 1 : 43) {
            for (const std::uint32_t upper : {0U, 1U << 11, 1U << 12, 1U << 30}) {
                for (const std::uint32_t length : {0U, 1U, 15U, 16U}) {
                    for (const std::uint32_t error_code : {0U, 0xFFF8U, 0x1'0000U}) {
                        const std::uint32_t field = vector | type << 8 | upper | 1U << 31;
                        compare({.what = std::bit_cast<InterruptionInformation>(field),
                                 .error_code = error_code,
                                 .instruction_length = length},
                                {.interrupts_enabled = true});
                    }
                }
            }
        }
    }
    EXPECT_GT(refused_, 1000U);
    EXPECT_GT(compared_ - refused_, 1000U);
}

TEST_F(InjectionRules, AreTheSameInTheTableForEveryStateOfTheGuest) {
    const std::vector<Event> events{
        {},
        {.what = external_interrupt(0x41)},
        {.what = injected_nmi},
        exception_event(Vector::debug),
        exception_event(Vector::page_fault),
        exception_event(Vector::machine_check),
        {.what = {.vector = 3, .type = 6, .valid = 1}, .instruction_length = 1}};
    for (const Event& event : events) {
        for (std::uint32_t bits = 0; bits < 16 * 2 * 4; ++bits) {
            const arch::Flags<Interruptibility> blocking{bits % 16};
            const auto activity = static_cast<ActivityState>(bits / 32);
            const bool until_next = !(blocking & until_next_instruction).empty();
            if (until_next && activity != ActivityState::active) {
                continue;  // no guest is in this state, whatever is injected
            }
            compare(event, {.interruptibility = blocking,
                            .interrupts_enabled = bits / 16 % 2 != 0,
                            .activity = activity});
        }
    }
    EXPECT_GT(refused_, 50U);
    EXPECT_GT(compared_ - refused_, 50U);
}

}  // namespace
}  // namespace hvp::vmx::checks
