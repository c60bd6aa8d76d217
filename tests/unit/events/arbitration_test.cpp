// Which event a guest gets next: every case, against the manual's rules in the order of the manual.
#include "hypervisor/events/arbitration.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <string>
#include <vector>

namespace hvp::vmx {
namespace {

constexpr InterruptionInformation of(std::uint32_t vector, EventType type,
                                     bool has_error_code = false) {
    return {.vector = vector,
            .type = static_cast<std::uint32_t>(type),
            .has_error_code = has_error_code ? 1U : 0U,
            .valid = 1};
}

// ---- Two events become one

// [SDM 3A 6.15 "Exception and Interrupt Reference"], tables 6-4 and 6-5: the rows are the first
// exception, the columns the second. s: serially, D: double fault, S: shutdown.
TEST(Combine, EachPairOfExceptions) {
    struct Class {
        std::vector<std::uint32_t> vectors;
        const char* with_benign_contributory_page_fault;
    };
    const std::array<Class, 4> classes{
        {{{1, 2, 3, 4, 5, 6, 7, 9, 15, 16, 17, 18, 19, 22, 31}, "sss"},
         {{0, 10, 11, 12, 13, 21}, "sDs"},
         {{14, 20}, "sDD"},
         {{8}, "sSS"}}};
    for (const Class& first : classes) {
        for (std::size_t column = 0; column < 3; ++column) {
            const char expected = first.with_benign_contributory_page_fault[column];
            for (const std::uint32_t one : first.vectors) {
                for (const std::uint32_t two : classes[column].vectors) {
                    const Combined got = combine(of(one, EventType::hardware_exception),
                                                 of(two, EventType::hardware_exception));
                    EXPECT_EQ(got, expected == 's'   ? Combined::deliver_second
                                   : expected == 'D' ? Combined::double_fault
                                                     : Combined::triple_fault)
                        << one << " then " << two;
                }
            }
        }
    }
}

// [SDM 3C 31.7.1.1 "Reflecting Exceptions to Guest Software"]: any type but 3 is benign.
TEST(Combine, WhatIsNoExceptionMakesNoDoubleFault) {
    for (const EventType type :
         {EventType::external_interrupt, EventType::nmi, EventType::software_interrupt,
          EventType::privileged_software_exception, EventType::software_exception}) {
        for (std::uint32_t vector = 0; vector < 256; ++vector) {
            EXPECT_EQ(combine(of(vector, type), exception(Vector::page_fault)),
                      Combined::deliver_second);
        }
    }
}

TEST(Combine, ADoubleFaultThatTheProcessorHasMadeStaysOne) {
    EXPECT_EQ(combine(exception(Vector::page_fault), exception(Vector::double_fault)),
              Combined::deliver_second);
}

// ---- The decision

struct Case {
    PendingEvents waiting;
    GuestBlockingState guest;
};

constexpr auto sti = Interruptibility::blocking_by_sti;
constexpr auto mov_ss = Interruptibility::blocking_by_mov_ss;
constexpr auto nmi_handler = Interruptibility::blocking_by_nmi;

/// What an exit can find: the other combinations do not exist.
bool is_possible(const Case& c) {
    const auto blocking = c.guest.interruptibility;
    const auto& interrupted = c.waiting.interrupted;
    const bool until_next = blocking.has(sti) || blocking.has(mov_ss);
    // [SDM 3C 27.1 "Architectural State Before a VM Exit"]: an event whose delivery has begun has
    // updated the state.
    if (interrupted.exists() &&
        (until_next || c.guest.activity != ActivityState::active || c.guest.debug_exception_pends ||
         (interrupted.what.is(EventType::nmi) && !blocking.has(nmi_handler)) ||
         (interrupted.what.is(EventType::external_interrupt) && !c.guest.interrupts_enabled))) {
        return false;
    }
    // [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"]: nor would an entry take them.
    return (!blocking.has(sti) || c.guest.interrupts_enabled) &&
           (!until_next || c.guest.activity == ActivityState::active);
}

enum class Gets { nothing, exception, interrupted, double_fault, triple_fault, nmi, interrupt };

struct Rule {
    const char* reason;
    bool (*applies)(const Case&);
    Gets gets;
};

bool is_one_of(const Event& event, std::initializer_list<std::uint32_t> vectors) {
    return event.what.is(EventType::hardware_exception) &&
           std::find(vectors.begin(), vectors.end(), event.what.vector) != vectors.end();
}
bool is_contributory(const Event& event) {
    return is_one_of(event, {0, 10, 11, 12, 13});
}

/// The first that applies decides.
const std::vector<Rule> rules{
    {"3A 6.15, table 6-5: after a double fault, shutdown",
     [](const Case& c) {
         return is_one_of(c.waiting.interrupted, {8}) &&
                (is_contributory(c.waiting.exception) || is_one_of(c.waiting.exception, {14}));
     },
     Gets::triple_fault},
    {"3A 6.15, table 6-5: contributory after contributory",
     [](const Case& c) {
         return is_contributory(c.waiting.interrupted) && is_contributory(c.waiting.exception);
     },
     Gets::double_fault},
    {"3A 6.15, table 6-5: contributory or page fault after page fault",
     [](const Case& c) {
         return is_one_of(c.waiting.interrupted, {14}) &&
                (is_contributory(c.waiting.exception) || is_one_of(c.waiting.exception, {14}));
     },
     Gets::double_fault},
    {"3C 26.3.1.5: in HLT of exceptions only 1 and 18",
     [](const Case& c) {
         return c.waiting.exception.exists() && c.guest.activity == ActivityState::hlt &&
                !is_one_of(c.waiting.exception, {1, 18});
     },
     Gets::nothing},
    {"3C 26.3.1.5: in shutdown of exceptions only 18",
     [](const Case& c) {
         return c.waiting.exception.exists() && c.guest.activity == ActivityState::shutdown &&
                !is_one_of(c.waiting.exception, {18});
     },
     Gets::nothing},
    {"3C 26.3.1.5: waiting for SIPI, nothing",
     [](const Case& c) { return c.guest.activity == ActivityState::wait_for_sipi; }, Gets::nothing},
    {"3C 31.7.1.1: the exception of the guest's own instruction or delivery",
     [](const Case& c) { return c.waiting.exception.exists(); }, Gets::exception},
    {"3C 31.7.1.2: the interrupted delivery anew",
     [](const Case& c) { return c.waiting.interrupted.exists(); }, Gets::interrupted},
    {"3A 6.9, class 4 before 5 and 6; 3C 26.6.3: an injection would forget the trap",
     [](const Case& c) { return c.guest.debug_exception_pends; }, Gets::nothing},
    {"3C 26.3.1.5: blocking by MOV SS",
     [](const Case& c) { return c.guest.interruptibility.has(mov_ss); }, Gets::nothing},
    {"3C 26.3.1.5: blocking by STI, for NMIs where the processor wants it so",
     [](const Case& c) { return c.guest.interruptibility.has(sti); }, Gets::nothing},
    {"3A 6.9, class 5: NMI, which nothing else holds back",
     [](const Case& c) {
         return c.waiting.nmis != 0 && !c.guest.interruptibility.has(nmi_handler);
     },
     Gets::nmi},
    {"3A 6.8.1: RFLAGS.IF masks external interrupts",
     [](const Case& c) { return !c.guest.interrupts_enabled; }, Gets::nothing},
    {"3C 26.6.2: shutdown blocks external interrupts",
     [](const Case& c) { return c.guest.activity == ActivityState::shutdown; }, Gets::nothing},
    {"3A 6.9, class 6: external interrupt, also in an NMI's handler",
     [](const Case& c) { return c.waiting.interrupts != 0; }, Gets::interrupt},
    {"nothing waits, or only an NMI in an NMI's handler", [](const Case&) { return true; },
     Gets::nothing},
};

std::vector<Case> all_cases() {
    const std::vector<Event> interrupted{
        {},
        {.what = of(0xD1, EventType::external_interrupt)},
        {.what = injected_nmi},
        exception_event(Vector::debug),
        exception_event(Vector::invalid_opcode),
        exception_event(Vector::general_protection, 8),
        exception_event(Vector::page_fault, 2),
        exception_event(Vector::double_fault),
        {.what = of(0x80, EventType::software_interrupt), .instruction_length = 2},
        {.what = of(1, EventType::privileged_software_exception), .instruction_length = 1},
        {.what = of(3, EventType::software_exception), .instruction_length = 1}};
    const std::vector<Event> exceptions{{},
                                        exception_event(Vector::divide_error),
                                        exception_event(Vector::debug),
                                        exception_event(Vector::invalid_opcode),
                                        exception_event(Vector::stack_fault),
                                        exception_event(Vector::page_fault, 4),
                                        exception_event(Vector::machine_check)};
    const std::vector<arch::Flags<Interruptibility>> blockings{
        {}, sti, mov_ss, nmi_handler, sti | nmi_handler, mov_ss | nmi_handler};
    std::vector<Case> cases;
    for (const Event& first : interrupted) {
        for (const Event& second : exceptions) {
            for (const auto blocking : blockings) {
                for (std::uint32_t bits = 0; bits < 3 * 3 * 2 * 2 * 4; ++bits) {
                    const Case c{.waiting = {.interrupted = first,
                                             .exception = second,
                                             .nmis = bits % 3,
                                             .interrupts = bits / 3 % 3,
                                             .interrupt_vector = 0x41},
                                 .guest = {.interruptibility = blocking,
                                           .interrupts_enabled = bits / 9 % 2 != 0,
                                           .activity = static_cast<ActivityState>(bits / 36),
                                           .debug_exception_pends = bits / 18 % 2 != 0}};
                    if (is_possible(c)) {
                        cases.push_back(c);
                    }
                }
            }
        }
    }
    return cases;
}

std::uint32_t raw(const Event& event) {
    return std::bit_cast<std::uint32_t>(event.what);
}

void expect(const Decision& decision, const Case& c, Gets gets) {
    const std::map<Gets, std::uint32_t> injected{{Gets::nothing, 0},
                                                 {Gets::exception, raw(c.waiting.exception)},
                                                 {Gets::interrupted, raw(c.waiting.interrupted)},
                                                 {Gets::double_fault, 0x8000'0B08},
                                                 {Gets::triple_fault, 0},
                                                 {Gets::nmi, 0x8000'0202},
                                                 {Gets::interrupt, 0x8000'0041}};
    EXPECT_EQ(raw(decision.inject), injected.at(gets));
    EXPECT_EQ(decision.triple_fault, gets == Gets::triple_fault);
    EXPECT_EQ(decision.takes_nmi, gets == Gets::nmi);
    EXPECT_EQ(decision.takes_interrupt, gets == Gets::interrupt);
    if (gets == Gets::triple_fault) {
        return;
    }
    // What still waits gets its window.
    EXPECT_EQ(decision.open_nmi_window, c.waiting.nmis > (gets == Gets::nmi ? 1U : 0U));
    EXPECT_EQ(decision.open_interrupt_window,
              c.waiting.interrupts > (gets == Gets::interrupt ? 1U : 0U));
    // Blocking is the guest's own, but for an NMI that is delivered anew.
    const bool anew = gets == Gets::interrupted && c.waiting.interrupted.what.is(EventType::nmi);
    EXPECT_EQ(decision.interruptibility,
              anew ? c.guest.interruptibility.without(nmi_handler) : c.guest.interruptibility);
}

TEST(Decide, EachCaseHasAReason) {
    std::map<std::string, std::size_t> used;
    const std::vector<Case> cases = all_cases();
    EXPECT_GT(cases.size(), 5000U);
    for (const Case& c : cases) {
        for (const Rule& rule : rules) {
            if (rule.applies(c)) {
                SCOPED_TRACE(rule.reason);
                ++used[rule.reason];
                const Decision decision = decide(c.waiting, c.guest);
                expect(decision, c, rule.gets);
                GuestBlockingState at_entry = c.guest;
                at_entry.interruptibility = decision.interruptibility;
                EXPECT_EQ(broken_rule(decision.inject, at_entry), InjectionRule::kept)
                    << std::hex << raw(decision.inject);
                break;
            }
        }
        if (testing::Test::HasFailure()) {
            FAIL() << "first of " << cases.size() << " cases: interrupted " << std::hex
                   << raw(c.waiting.interrupted) << ", exception " << raw(c.waiting.exception)
                   << ", blocking " << c.guest.interruptibility.raw() << ", IF "
                   << c.guest.interrupts_enabled << ", activity "
                   << static_cast<unsigned>(c.guest.activity) << ", #DB "
                   << c.guest.debug_exception_pends << ", NMIs " << c.waiting.nmis
                   << ", interrupts " << c.waiting.interrupts;
        }
    }
    EXPECT_EQ(used.size(), rules.size()) << "a reason that no case has";
}

// ---- What VM entry takes

struct Refused {
    InjectionRule rule;
    Event event;
    Event neighbour;  ///< that the entry takes
};

// [SDM 3C 26.2.1.3 "VM-Entry Control Fields"]
TEST(BrokenRule, OfTheFieldsAlone) {
    InterruptionInformation with_bit_12 = injected_nmi;
    with_bit_12.nmi_unblocking = 1;
    InterruptionInformation with_bit_30 = injected_nmi;
    with_bit_30.reserved_30_13 = 1U << 17;
    const Event good{.what = injected_nmi};
    const std::vector<Refused> cases{
        {InjectionRule::type, {.what = of(2, static_cast<EventType>(1))}, good},
        {InjectionRule::type, {.what = of(0, EventType::other)}, good},
        {InjectionRule::vector, {.what = of(3, EventType::nmi)}, good},
        {InjectionRule::vector,
         {.what = of(32, EventType::hardware_exception)},
         {.what = of(31, EventType::hardware_exception)}},
        {InjectionRule::error_code,
         {.what = of(13, EventType::hardware_exception)},
         {.what = of(13, EventType::hardware_exception, true)}},
        {InjectionRule::error_code,
         {.what = of(6, EventType::hardware_exception, true)},
         {.what = of(6, EventType::hardware_exception)}},
        {InjectionRule::error_code,
         {.what = of(13, EventType::external_interrupt, true)},
         {.what = of(13, EventType::external_interrupt)}},
        {InjectionRule::reserved_bits, {.what = with_bit_12}, good},
        {InjectionRule::reserved_bits, {.what = with_bit_30}, good},
        {InjectionRule::error_code_bits, exception_event(Vector::general_protection, 0x1'0000),
         exception_event(Vector::general_protection, 0xFFFF)},
        {InjectionRule::length,
         {.what = of(3, EventType::software_exception), .instruction_length = 0},
         {.what = of(3, EventType::software_exception), .instruction_length = 1}},
        {InjectionRule::length,
         {.what = of(0x2E, EventType::software_interrupt), .instruction_length = 16},
         {.what = of(0x2E, EventType::software_interrupt), .instruction_length = 15}},
    };
    const GuestBlockingState free{.interrupts_enabled = true};
    for (const Refused& c : cases) {
        EXPECT_EQ(broken_rule(c.event, free), c.rule) << std::hex << raw(c.event);
        EXPECT_EQ(broken_rule(c.neighbour, free), InjectionRule::kept) << std::hex << raw(c.event);
    }
}

// [SDM 3D A.1 "Basic VMX Information"], bit 56: with an error code or without, regardless of vector.
TEST(BrokenRule, LeavesTheErrorCodeToUsWhereTheProcessorDoes) {
    const GuestBlockingState free{.interrupts_enabled = true, .any_error_code = true};
    for (const bool code : {false, true}) {
        for (const Vector named :
             {Vector::invalid_opcode, Vector::general_protection, Vector::control_protection}) {
            const auto vector = static_cast<std::uint8_t>(named);
            EXPECT_EQ(broken_rule({.what = of(vector, EventType::hardware_exception, code)}, free),
                      InjectionRule::kept);
        }
    }
    EXPECT_EQ(broken_rule({.what = of(13, EventType::external_interrupt, true)}, free),
              InjectionRule::error_code);
    const GuestBlockingState real{.real_mode = true, .any_error_code = true};
    EXPECT_EQ(broken_rule({.what = of(13, EventType::hardware_exception, true)}, real),
              InjectionRule::error_code);
    EXPECT_EQ(
        broken_rule({.what = of(21, EventType::hardware_exception, true), .error_code = 0x1'0000},
                    free),
        InjectionRule::error_code_bits);
}

// [SDM 3C 26.2.1.3 "VM-Entry Control Fields"],
// [SDM 3C 26.5.1.3 "Event Injection for VM Entries to Real-Address Mode"]
TEST(RealMode, NoExceptionHasAnErrorCode) {
    const GuestBlockingState guest{.real_mode = true};
    for (std::uint32_t vector = 0; vector < 32; ++vector) {
        const Event as_elsewhere = exception_event(static_cast<Vector>(vector), 0x1234);
        const Event given = decide({.exception = as_elsewhere}, guest).inject;
        EXPECT_EQ(given.what.vector, vector);
        EXPECT_EQ(given.what.has_error_code, 0U);
        EXPECT_EQ(given.error_code, 0U);
        EXPECT_EQ(broken_rule(given, guest), InjectionRule::kept);
        EXPECT_EQ(broken_rule(as_elsewhere, guest), as_elsewhere.what.has_error_code != 0
                                                        ? InjectionRule::error_code
                                                        : InjectionRule::kept);
    }
    const Event both = decide({.interrupted = exception_event(Vector::divide_error),
                               .exception = exception_event(Vector::general_protection)},
                              guest)
                           .inject;
    EXPECT_TRUE(both.is_exception(Vector::double_fault));
    EXPECT_EQ(both.what.has_error_code, 0U);
}

// [SDM 3C 26.3.1.5 "Checks on Guest Non-Register State"],
// [SDM 3C 26.3.1.4 "Checks on Guest RIP and RFLAGS"]
TEST(BrokenRule, OfTheGuestsState) {
    const Event interrupt{.what = external_interrupt(0x41)};
    const Event nmi{.what = injected_nmi};
    const auto rule = [](const Event& event, arch::Flags<Interruptibility> blocking,
                         bool enabled = true) {
        return broken_rule(event, {.interruptibility = blocking, .interrupts_enabled = enabled});
    };
    EXPECT_EQ(rule(interrupt, {}), InjectionRule::kept);
    EXPECT_EQ(rule(interrupt, {}, false), InjectionRule::blocking);
    EXPECT_EQ(rule(interrupt, sti), InjectionRule::blocking);
    EXPECT_EQ(rule(interrupt, mov_ss), InjectionRule::blocking);
    EXPECT_EQ(rule(interrupt, nmi_handler), InjectionRule::kept);
    EXPECT_EQ(rule(nmi, {}, false), InjectionRule::kept);
    EXPECT_EQ(rule(nmi, sti), InjectionRule::blocking);
    EXPECT_EQ(rule(nmi, mov_ss), InjectionRule::blocking);
    EXPECT_EQ(rule(nmi, nmi_handler), InjectionRule::blocking);
    EXPECT_EQ(rule(exception_event(Vector::page_fault), sti), InjectionRule::kept);
    EXPECT_EQ(rule(exception_event(Vector::page_fault), mov_ss | nmi_handler), InjectionRule::kept);
}

}  // namespace
}  // namespace hvp::vmx
