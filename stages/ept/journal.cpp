#include "stages/ept/journal.hpp"

#include <algorithm>
#include <bit>

#include "hypervisor/vmcs/exit_reason.hpp"
#include "stages/shared/guest_calls.hpp"
#include "stages/shared/report.hpp"
#include "stages/shared/result.hpp"

namespace hvp::ept_stage {
namespace {

using platform::TraceProvider;
using stages::each_exit;
using stages::failure;
using stages::lifecycle;
using stages::yes_or_no;
using trace::HexInt32;
using trace::HexInt64;
using trace::Text;
using trace::UInt32;
using trace::UInt64;

// `at` is the time-stamp counter when it happened: the events are written later.
using EptSupported = trace::Event<"EptSupported", lifecycle, UInt32<"physical_address_bits">,
                                  Text<"execute_only">, Text<"pages_2_mb">, Text<"pages_1_gb">,
                                  Text<"accessed_and_dirty">, HexInt64<"at">>;
using EptNeededPage = trace::Event<"EptNeededPage", lifecycle, Text<"role">, Text<"rights">,
                                   HexInt64<"guest_physical">, HexInt64<"guest_linear">>;
using EptCost = trace::Event<"EptCost", lifecycle, UInt64<"pages">, UInt64<"table_bytes">,
                             UInt64<"least_table_bytes">>;
using GuestBegins =
    trace::Event<"GuestBegins", lifecycle, Text<"with">, UInt64<"tables">, UInt64<"bytes">>;
using EptViolation =
    trace::Event<"EptViolation", each_exit, Text<"access">, Text<"page">, Text<"answer">,
                 Text<"mapped">, HexInt64<"qualification">, HexInt64<"guest_physical">,
                 HexInt64<"guest_linear">, HexInt64<"guest_rip">, HexInt64<"at">>;
using EptMisconfiguration =
    trace::Event<"EptMisconfiguration", failure, Text<"rule">, UInt32<"level">, UInt32<"index">,
                 HexInt64<"entry">, HexInt64<"table">, HexInt64<"guest_physical">>;
using EmptyEptProof = trace::Event<"EmptyEptProof", lifecycle, UInt64<"violations">,
                                   UInt64<"predicted">, UInt64<"in_order">, HexInt64<"answer">>;
using RedirectProof = trace::Event<"RedirectProof", lifecycle, HexInt64<"before">,
                                   HexInt64<"redirected">, HexInt64<"after">>;
using SplitProof =
    trace::Event<"SplitProof", lifecycle, UInt64<"possible">, UInt64<"reads_right">,
                 UInt64<"reads">, UInt64<"calls_elsewhere">, UInt64<"calls">, UInt64<"violations">,
                 HexInt64<"call_after">, UInt64<"edits">, UInt64<"invalidations">>;
using OutsideProof = trace::Event<"OutsideProof", lifecycle, HexInt64<"guest_physical">,
                                  HexInt64<"guest_linear">, UInt64<"came_back">>;

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
            return "the data view is mapped";
        case Answer::code_view:
            return "the code view is mapped";
        case Answer::refused:
            return "refused";
        case Answer::not_mapped:
            return "the page is not mapped";
    }
    return "unknown";
}

void report_violation(const TraceProvider& provider, const ViolationRecord& violation,
                      const Memory& memory, std::uint64_t at) {
    const char* const page = violation.needed
                                 ? ept::name_of(memory.needed.pages()[*violation.needed].role)
                                 : "a page that is not the guest's,";
    provider.write<EptViolation>(
        name_of(violation.event.qualification), page, name_of(violation.answer),
        name_of(violation.mapped), std::bit_cast<std::uint64_t>(violation.event.qualification),
        violation.event.guest_physical.raw(), violation.event.guest_linear.raw(),
        violation.event.guest_rip.raw(), at);
}

/// The entry that the processor refuses, found by walking as it does.
void report_misconfiguration(const TraceProvider& provider, const Memory& memory,
                             const ept::GuestMemoryEvent& event) {
    const ept::Walk walk = memory.views->tables().walk(event.guest_physical);
    const ept::WalkStep& step = walk.last();
    provider.write<EptMisconfiguration>(
        ept::name_of(walk.rule), static_cast<std::uint32_t>(step.level), step.index,
        step.entry.raw(), step.table.raw(), event.guest_physical.raw());
}

void report_ending(const TraceProvider& provider, const Memory& memory,
                   const vmx::VirtualProcessor& processor) {
    const vmx::GuestStop& guest_stop = processor.guest_stop;
    if (guest_stop.why == vmx::StopReason::ept_misconfigured) {
        report_misconfiguration(provider, memory, guest_stop.memory);
    }
    platform::trace_ending(provider, processor);
}

}  // namespace

void report_support(const TraceProvider& provider, const vmx::VmxBasic& basic,
                    const ept::Limits& limits, std::uint64_t at) {
    platform::trace_supported(provider, basic, at);
    const ept::Capability& capability = limits.capability;
    provider.write<EptSupported>(
        limits.physical_address_bits, yes_or_no(capability.execute_only != 0),
        yes_or_no(capability.pages_2_mb != 0), yes_or_no(capability.pages_1_gb != 0),
        yes_or_no(capability.accessed_and_dirty != 0), at);
}

void report_needed(const TraceProvider& provider, const Memory& memory) {
    for (const ept::WorkingSetPage& page : memory.needed.pages()) {
        provider.write<EptNeededPage>(ept::name_of(page.role), name_of(page.rights),
                                      page.page.raw(), page.linear.raw());
    }
}

void report_guest(const TraceProvider& provider, const char* starts_with, const Memory& memory) {
    const std::uint64_t tables = memory.pool->used();
    provider.write<GuestBegins>(starts_with, tables, tables * arch::page_bytes);
}

void report_run(const TraceProvider& provider, const vmx::Session& session, const Memory& memory) {
    platform::trace_vmx_on(provider, session.timestamps().vmxon_at);
    platform::trace_entry(provider, session.timestamps().vm_entry_at);
    const auto violations = memory.views->violations();
    std::size_t reported = 0;
    stages::report_exits(provider, session.processor(), [&](const trace::ExitEvent& event) {
        const auto reason = std::bit_cast<vmx::ExitReasonField>(event.reason);
        if (reason.basic() != vmx::ExitReason::ept_violation) {
            return;
        }
        if (const auto* violation = stages::note_about(event, violations, reported)) {
            report_violation(provider, *violation, memory, event.exit_at);
        }
    });
    report_ending(provider, memory, session.processor());
    platform::trace_vmx_off(provider, session.timestamps().left_at);
}

// ---- Result -------------------------------------------------------------------------------------

bool verify_touched(const TraceProvider& provider, const Memory& memory,
                    const vmx::GuestStop& guest_stop) {
    // The prediction is the set itself: each of its pages but those of descriptor tables is met
    // once, in the order in which the set was made.
    const auto needed = memory.needed.pages();
    const auto first_unused = std::ranges::find_if(needed, [](const ept::WorkingSetPage& page) {
        return page.first_use == ept::Role::system;
    });
    const auto predicted = static_cast<std::size_t>(first_unused - needed.begin());
    const auto violations = memory.views->violations();
    std::size_t in_order = 0;
    for (std::size_t i = 0; i < violations.size() && violations[i].needed == i; ++i) {
        ++in_order;
    }
    const std::uint64_t answer = memory.guest.found.touched;
    if (guest_stop.why != vmx::StopReason::stopped_by_guest) {
        return false;  // it came to no answer
    }
    provider.write<EmptyEptProof>(std::uint64_t{violations.size()}, std::uint64_t{predicted},
                                  std::uint64_t{in_order}, answer);
    return violations.size() == predicted && in_order == predicted && answer == answer_of_target;
}

bool verify_views(const TraceProvider& provider, const Memory& memory,
                  const vmx::GuestStop& guest_stop) {
    const Findings& found = memory.guest.found;
    const Views& views = *memory.views;
    const std::size_t tables = memory.pool->used();
    const std::size_t least_tables = memory.needed.least_tables();
    provider.write<EptCost>(std::uint64_t{memory.needed.pages().size()},
                            std::uint64_t{tables * arch::page_bytes},
                            std::uint64_t{least_tables * arch::page_bytes});
    if (guest_stop.why != vmx::StopReason::stopped_by_guest) {
        return false;  // what it would have found, nobody knows
    }
    provider.write<RedirectProof>(found.before, found.redirected, found.after);
    // The page as DriverEntry sees it, which no EPT can change.
    const std::uint64_t right_sum = stages::sum_of_page(memory.guest.target_page);
    const auto reads = static_cast<std::uint64_t>(std::ranges::count(found.sums, right_sum));
    const auto calls = static_cast<std::uint64_t>(std::ranges::count(found.calls, answer_of_other));
    const std::uint64_t violations = views.violations().size();
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
    return redirected && (views.can_split() ? split : not_tried) && joined &&
           views.edits() == views.invalidations() && tables == least_tables;
}

bool verify_stopped(const TraceProvider& provider, const Memory& memory,
                    const vmx::GuestStop& guest_stop) {
    const std::uint64_t came_back = memory.guest.found.came_back_from_outside;
    const auto outside = reinterpret_cast<std::uint64_t>(memory.guest.outside);
    const bool stopped_there = guest_stop.why == vmx::StopReason::outside_memory &&
                               guest_stop.memory.guest_linear == arch::GuestLinearAddress{outside};
    if (stopped_there || came_back != 0) {
        provider.write<OutsideProof>(stopped_there ? guest_stop.memory.guest_physical.raw() : 0,
                                     outside, came_back);
    }
    return stopped_there && came_back == 0;
}

std::expected<void, vmx::Failure> result(std::optional<std::size_t> wrong) {
    if (!wrong) {
        return {};
    }
    static constexpr vmx::Citation rule{"3C", "28.2.1", "EPT Overview"};
    static constexpr vmx::Explanation whys[] = {
        {.step = "the guest that begins with an empty EPT",
         .rule = rule,
         .remedy = "it ended early, or its violations were not those predicted: EmptyEptProof"},
        {.step = "the guest that has the pages that it needs",
         .rule = rule,
         .remedy = "it ended early, or met the wrong page: see RedirectProof, SplitProof, EptCost"},
        {.step = "the guest that wants one page more",
         .rule = rule,
         .remedy = "it got the page, or was stopped elsewhere: see OutsideProof and GuestEnded"},
    };
    return stages::unexpected(whys[*wrong]);
}

}  // namespace hvp::ept_stage
