#include "stages/ept/journal.hpp"

#include <algorithm>
#include <bit>

#include "hypervisor/vmcs/exit_reason.hpp"
#include "platform/windows/exit_events.hpp"

namespace hvp::ept_stage {
namespace {

using trace::HexInt32;
using trace::HexInt64;
using trace::Level;
using trace::Text;
using trace::UInt32;
using trace::UInt64;
using windows::TraceProvider;
namespace keyword = windows::keyword;

constexpr trace::Traits life{.keyword = keyword::life};
constexpr trace::Traits each_exit{.level = Level::verbose, .keyword = keyword::exits};
constexpr trace::Traits failure{.level = Level::error, .keyword = keyword::failures};

// `at` is the time-stamp counter when it happened: the events are written later.
using EptSupported = trace::Event<"EptSupported", life, UInt32<"physical_address_bits">,
                                  Text<"execute_only">, Text<"pages_2_mb">, Text<"pages_1_gb">,
                                  Text<"accessed_and_dirty">, HexInt64<"at">>;
using EptNeededPage = trace::Event<"EptNeededPage", life, Text<"role">, Text<"rights">,
                                   HexInt64<"guest_physical">, HexInt64<"guest_linear">>;
using EptCost = trace::Event<"EptCost", life, UInt64<"pages">, UInt64<"table_bytes">,
                             UInt64<"least_table_bytes">>;
using GuestBegins =
    trace::Event<"GuestBegins", life, Text<"with">, UInt64<"tables">, UInt64<"bytes">>;
using EptViolation =
    trace::Event<"EptViolation", each_exit, Text<"access">, Text<"page">, Text<"answer">,
                 HexInt64<"qualification">, HexInt64<"guest_physical">, HexInt64<"guest_linear">,
                 HexInt64<"guest_rip">, HexInt64<"at">>;
using EptMisconfiguration =
    trace::Event<"EptMisconfiguration", failure, Text<"rule">, UInt32<"level">, UInt32<"index">,
                 HexInt64<"entry">, HexInt64<"table">, HexInt64<"guest_physical">>;
using EmptyEptProof = trace::Event<"EmptyEptProof", life, UInt64<"violations">, UInt64<"predicted">,
                                   UInt64<"in_order">, HexInt64<"answer">>;
using RedirectProof = trace::Event<"RedirectProof", life, HexInt64<"before">,
                                   HexInt64<"redirected">, HexInt64<"after">>;
using SplitProof =
    trace::Event<"SplitProof", life, UInt64<"possible">, UInt64<"reads_right">, UInt64<"reads">,
                 UInt64<"calls_elsewhere">, UInt64<"calls">, UInt64<"violations">,
                 HexInt64<"call_after">, UInt64<"edits">, UInt64<"invalidations">>;
using OutsideProof = trace::Event<"OutsideProof", life, HexInt64<"guest_physical">,
                                  HexInt64<"guest_linear">, UInt64<"came_back">>;

const char* yes_or_no(std::uint64_t bit) {
    return bit != 0 ? "yes" : "no";
}

const char* name_of(const ept::Rights& rights) {
    static constexpr const char* names[] = {"---", "r--", "-w-", "rw-", "--x", "r-x", "-wx", "rwx"};
    return names[(rights.read ? 1 : 0) + (rights.write ? 2 : 0) + (rights.execute ? 4 : 0)];
}

const char* name_of(const ept::ViolationQualification& qualification) {
    if (qualification.execute != 0) {
        return "fetch";
    }
    if (qualification.write != 0) {
        return qualification.read != 0 ? "read and write" : "write";
    }
    return "read";
}

const char* name_of(Answer answer) {
    switch (answer) {
        case Answer::page_given:
            return "the page is mapped";
        case Answer::data_view:
            return "the data view is mapped, read-only";
        case Answer::code_view:
            return "the code view is mapped, execute-only";
        case Answer::refused:
            return "refused";
    }
    return "unknown";
}

void tell_violation(const TraceProvider& provider, const Noted& noted, const Memory& memory,
                    std::uint64_t at) {
    const char* const page = noted.needed ? ept::name_of(memory.needed.pages()[*noted.needed].role)
                                          : "a page that is not the guest's,";
    provider.write<EptViolation>(name_of(noted.event.qualification), page, name_of(noted.answer),
                                 std::bit_cast<std::uint64_t>(noted.event.qualification),
                                 noted.event.guest_physical.raw(), noted.event.guest_linear.raw(),
                                 noted.event.guest_rip.raw(), at);
}

/// The entry that the processor refuses, found by walking as it does.
void tell_misconfiguration(const TraceProvider& provider, const Memory& memory,
                           const ept::GuestMemoryEvent& event) {
    const ept::Walk walk = memory.views->tables().walk(event.guest_physical);
    const ept::WalkStep& step = walk.last();
    provider.write<EptMisconfiguration>(
        ept::name_of(walk.rule), static_cast<std::uint32_t>(step.level), step.index,
        step.entry.raw(), step.table.raw(), event.guest_physical.raw());
}

void tell_ending(const TraceProvider& provider, const Memory& memory,
                 const vmx::VirtualProcessor& processor) {
    const vmx::GuestStop& guest_stop = processor.guest_stop;
    if (guest_stop.why == vmx::StopReason::ept_misconfigured) {
        tell_misconfiguration(provider, memory, guest_stop.memory);
    }
    windows::trace_ending(provider, processor);
}

}  // namespace

void tell_support(const TraceProvider& provider, const vmx::VmxBasic& basic,
                  const ept::Limits& limits, std::uint64_t at) {
    windows::trace_supported(provider, basic, at);
    const ept::Capability& capability = limits.capability;
    provider.write<EptSupported>(limits.physical_address_bits, yes_or_no(capability.execute_only),
                                 yes_or_no(capability.pages_2_mb), yes_or_no(capability.pages_1_gb),
                                 yes_or_no(capability.accessed_and_dirty), at);
}

void tell_needed(const TraceProvider& provider, const Memory& memory) {
    for (const ept::WorkingSetPage& page : memory.needed.pages()) {
        provider.write<EptNeededPage>(ept::name_of(page.role), name_of(page.rights),
                                      page.page.raw(), page.linear.raw());
    }
}

void tell_guest(const TraceProvider& provider, const char* name, const Memory& memory) {
    const std::uint64_t tables = memory.pool->used();
    provider.write<GuestBegins>(name, tables, tables * arch::page_bytes);
}

void tell_run(const TraceProvider& provider, const Times& times, const Memory& memory,
              vmx::VirtualProcessor& processor) {
    windows::trace_vmx_on(provider, times.vmxon_at);
    windows::trace_entry(provider, times.vm_entry_at);
    const auto noted = memory.views->noted();
    std::size_t violations = 0;
    trace::ExitEvent event{};
    while (processor.ring->read(event)) {
        windows::trace_exit(provider, event);
        const auto reason = std::bit_cast<vmx::ExitReasonField>(event.reason);
        if (reason.basic() == vmx::ExitReason::ept_violation && violations < noted.size()) {
            tell_violation(provider, noted[violations++], memory, event.exit_at);
        }
    }
    windows::trace_dropped(provider, *processor.ring);
    tell_ending(provider, memory, processor);
    windows::trace_vmx_off(provider, times.left_at);
}

// ---- What came of it ----------------------------------------------------------------------------

bool prove_touched(const TraceProvider& provider, const Memory& memory,
                   const vmx::GuestStop& guest_stop) {
    // The prediction is the set itself: each of its pages but those of descriptor tables is met
    // once, in the order in which the set was made.
    const auto needed = memory.needed.pages();
    const auto first_unused = std::ranges::find_if(needed, [](const ept::WorkingSetPage& page) {
        return page.first_use == ept::Role::system;
    });
    const auto predicted = static_cast<std::size_t>(first_unused - needed.begin());
    const auto noted = memory.views->noted();
    std::size_t in_order = 0;
    for (std::size_t i = 0; i < noted.size() && noted[i].needed == i; ++i) {
        ++in_order;
    }
    const std::uint64_t answer = memory.guest.found.touched;
    provider.write<EmptyEptProof>(std::uint64_t{noted.size()}, std::uint64_t{predicted},
                                  std::uint64_t{in_order}, answer);
    return guest_stop.why == vmx::StopReason::stopped_by_guest && noted.size() == predicted &&
           in_order == predicted && answer == answer_of_target;
}

bool prove_views(const TraceProvider& provider, const Memory& memory,
                 const vmx::GuestStop& guest_stop) {
    const Findings& found = memory.guest.found;
    const Views& views = *memory.views;
    const std::size_t tables = memory.pool->used();
    const std::size_t least_tables = memory.needed.least_tables();
    provider.write<EptCost>(std::uint64_t{memory.needed.pages().size()},
                            std::uint64_t{tables * arch::page_bytes},
                            std::uint64_t{least_tables * arch::page_bytes});
    provider.write<RedirectProof>(found.before, found.redirected, found.after);
    // The page as DriverEntry sees it, which no EPT can change.
    const std::uint64_t right_sum = sum_of_page(memory.guest.target_page);
    const auto reads = static_cast<std::uint64_t>(std::ranges::count(found.sums, right_sum));
    const auto calls = static_cast<std::uint64_t>(std::ranges::count(found.calls, answer_of_other));
    const std::uint64_t violations = views.noted().size();
    provider.write<SplitProof>(std::uint64_t{views.can_split()}, reads,
                               std::uint64_t{found.sums.size()}, calls,
                               std::uint64_t{found.calls.size()}, violations, found.call_after,
                               views.edits(), views.invalidations());
    const bool redirected = found.before == answer_of_target &&
                            found.redirected == answer_of_other && found.after == answer_of_target;
    // The first reads need no violation, as the page begins with its data view.
    const std::uint64_t predicted = found.sums.size() + found.calls.size() - 1;
    const bool split =
        reads == found.sums.size() && calls == found.calls.size() && violations == predicted;
    const bool not_tried = found.split_was_accepted == 0 && violations == 0;
    const bool joined = found.sum_after == right_sum && found.call_after == answer_of_target;
    return guest_stop.why == vmx::StopReason::stopped_by_guest && redirected &&
           (views.can_split() ? split : not_tried) && joined &&
           views.edits() == views.invalidations() && tables == least_tables;
}

bool prove_stopped(const TraceProvider& provider, const Memory& memory,
                   const vmx::GuestStop& guest_stop) {
    const std::uint64_t came_back = memory.guest.found.came_back_from_outside;
    provider.write<OutsideProof>(guest_stop.memory.guest_physical.raw(),
                                 guest_stop.memory.guest_linear.raw(), came_back);
    return guest_stop.why == vmx::StopReason::outside_memory && came_back == 0 &&
           guest_stop.memory.guest_linear ==
               arch::GuestLinearAddress{reinterpret_cast<std::uint64_t>(memory.guest.outside)};
}

}  // namespace hvp::ept_stage
