#include "stages/ept-identity/journal.hpp"

#include <algorithm>
#include <bit>

#include "stages/shared/guest_calls.hpp"
#include "stages/shared/report.hpp"
#include "stages/shared/result.hpp"

namespace hvp::identity_stage {
namespace {

using ept::Level;
using platform::TraceProvider;
using stages::each_exit;
using stages::lifecycle;
using stages::yes_or_no;
using trace::HexInt64;
using trace::Text;
using trace::UInt32;
using trace::UInt64;

using IdentityMapped =
    trace::Event<"IdentityMapped", lifecycle, UInt32<"physical_address_bits">, UInt64<"pages_1_gb">,
                 UInt64<"pages_2_mb">, UInt64<"pages_4_kb">, UInt64<"tables">, UInt64<"bytes">>;
using VmmHidden = trace::Event<"VmmHidden", lifecycle, UInt64<"pages">, UInt64<"tables">>;
using GuestFeatures = trace::Event<"GuestFeatures", lifecycle, Text<"vpid">, Text<"step">,
                                   Text<"accessed_and_dirty">, Text<"write_log">, HexInt64<"at">>;
using ViewChanged =
    trace::Event<"ViewChanged", each_exit, Text<"access">, Text<"view">, Text<"goes_on">,
                 HexInt64<"guest_physical">, HexInt64<"guest_linear">, HexInt64<"at">>;
using HookProof = trace::Event<"HookProof", lifecycle, UInt64<"accepted">, UInt64<"reads_right">,
                               UInt64<"reads">, UInt64<"calls_elsewhere">, UInt64<"calls">,
                               UInt64<"steps">, HexInt64<"self_read">>;
using WriteProof = trace::Event<"WriteProof", lifecycle, UInt64<"read_back">, HexInt64<"call">,
                                HexInt64<"call_after">, UInt64<"as_before">>;
using CutProof = trace::Event<"CutProof", lifecycle, UInt64<"bytes">, UInt64<"parts_right">,
                              UInt64<"whole_again">, UInt64<"invalidations">>;
using PageTouched =
    trace::Event<"PageTouched", lifecycle, UInt64<"page">, Text<"flags">, Text<"log">>;
using InterruptProof = trace::Event<"InterruptProof", lifecycle, UInt64<"clock_ticked">>;
using HiddenProof = trace::Event<"HiddenProof", lifecycle, UInt64<"words">, UInt64<"not_zero">>;
using MtrrFollowed =
    trace::Event<"MtrrFollowed", lifecycle, UInt32<"msr">, HexInt64<"value">, HexInt64<"range">,
                 Text<"type">, Text<"followed">, UInt64<"tables">>;

const char* name_of(arch::MemoryType type) {
    switch (type) {
        case arch::MemoryType::uncacheable:
            return "uncacheable";
        case arch::MemoryType::write_combining:
            return "write-combining";
        case arch::MemoryType::write_through:
            return "write-through";
        case arch::MemoryType::write_protected:
            return "write-protected";
        case arch::MemoryType::write_back:
            return "write-back";
    }
    return "unknown";
}

const char* name_of(ept::View view) {
    switch (view) {
        case ept::View::data:
            return "data";
        case ept::View::code:
            return "code";
        case ept::View::step:
            return "step";
    }
    return "unknown";
}

const char* name_of(const ept::ViolationQualification& access) {
    return access.execute != 0 ? "fetch" : access.write != 0 ? "write" : "read";
}

const char* name_of(const Touched& page) {
    return page.written ? "accessed and dirty" : page.read_or_written ? "accessed" : "clear";
}

void report_change(const TraceProvider& provider, const ViewChange& change, std::uint64_t at) {
    provider.write<ViewChanged>(name_of(change.event.qualification), name_of(change.to),
                                yes_or_no(change.goes_on), change.event.guest_physical.raw(),
                                change.event.guest_linear.raw(), at);
}

bool verify_split(const TraceProvider& provider, const StageMemory& memory) {
    const Findings& found = memory.guest().found;
    const Machine& machine = *memory.vmm().machine;
    const auto reads = static_cast<std::uint64_t>(std::ranges::count(found.sums, found.sum_before));
    const auto calls = static_cast<std::uint64_t>(std::ranges::count(found.calls, answer_of_other));
    provider.write<HookProof>(found.accepted, reads, std::uint64_t{found.sums.size()}, calls,
                              std::uint64_t{found.calls.size()}, machine.steps(), found.self_read);
    if (found.accepted == 0) {
        return true;  // where the processor has no execute-only pages
    }
    // The page as DriverEntry sees it, which no EPT can change.
    const std::uint64_t right_sum = stages::sum_of_page(memory.guest().target_page);
    const bool as_before = found.sum_after == right_sum && found.sum_before == right_sum;
    provider.write<WriteProof>(found.written_read, found.call_written, found.call_after,
                               std::uint64_t{as_before ? 1U : 0U});
    const bool both_right = reads == found.sums.size() && calls == found.calls.size() &&
                            machine.steps() == 1 &&
                            found.self_read == memory.guest().target_page[0] &&
                            found.written_read == 1 && found.call_written == answer_of_other;
    return both_right && as_before && found.call_before == answer_of_target &&
           found.call_after == answer_of_target;
}

bool verify_touched(const TraceProvider& provider, const vmx::VirtualProcessor& processor,
                    const StageMemory& memory) {
    const Machine& machine = *memory.vmm().machine;
    const PageSplit& split = machine.page_split();
    if (split.right_parts == 0) {
        return false;  // the page was not split, and none was watched
    }
    const bool whole = split.after == split.before && split.before != Level{};
    provider.write<CutProof>(ept::bytes_of_entry(split.before), split.right_parts,
                             std::uint64_t{whole ? 1U : 0U}, machine.invalidations());
    // By the program: read, written, left alone, read and written.
    constexpr std::array touched_right{true, true, false, true};
    constexpr std::array written_right{false, true, false, true};
    const bool has_flags = machine.views().identity().limits().capability.accessed_and_dirty != 0;
    bool right = true;
    for (std::size_t i = 0; i < watched_pages; ++i) {
        const Touched& page = machine.touched()[i];
        provider.write<PageTouched>(std::uint64_t{i}, has_flags ? name_of(page) : "not to be had",
                                    !processor.write_log ? "not to be had"
                                    : page.logged        ? "the page"
                                                         : "nothing");
        right = right && page.read_or_written == (has_flags && touched_right[i]) &&
                page.written == (has_flags && written_right[i]) &&
                page.logged == (processor.write_log && written_right[i]);
    }
    return right && whole && split.right_parts == ept::entries_of_table;
}

bool verify_hidden(const TraceProvider& provider, const StageMemory& memory) {
    const Findings& found = memory.guest().found;
    provider.write<HiddenProof>(found.hidden_words, found.hidden_not_zero);
    return found.hidden_words == memory.guest().hidden_words && found.hidden_not_zero == 0;
}

bool verify_mtrr(const TraceProvider& provider, const StageMemory& memory) {
    const Machine& machine = *memory.vmm().machine;
    const auto writes = machine.mtrr_writes();
    const std::uint64_t range = memory.guest().mtrr_base & ~(arch::page_bytes - 1);
    for (const MtrrWrite& write : writes) {
        provider.write<MtrrFollowed>(write.msr, write.value, range, name_of(write.type),
                                     yes_or_no(write.followed), write.tables);
    }
    // Base, mask, and both as they were: between the second and the third the range counts. The
    // processor's registers have had none of it.
    const bool processors_own =
        writes.size() > 1 && (writes[0].processors_own || writes[1].processors_own);
    const Findings& found = memory.guest().found;
    return found.mtrr_was_free == 0 ||
           (found.mtrr_reads_back != 0 && !processors_own && writes.size() == 4 &&
            writes[1].type == arch::MemoryType::write_combining &&
            writes[0].type == writes[2].type && writes[2].type == writes[3].type &&
            writes[0].type != writes[1].type && writes[1].tables > writes[0].tables &&
            writes[3].tables == writes[0].tables);
}

/// What the stage claims of its guest, one by one.
struct Proof {
    bool holds;
    const vmx::Explanation& otherwise;
};

constexpr vmx::Explanation interrupts{
    .step = "the clock's interrupt",
    .rule = {"3C", "33.3", "External Interrupt Virtualization"},
    .remedy = "the guest did not get it, though RFLAGS.IF was 1: see the event InterruptProof",
};
constexpr vmx::Explanation split_page{
    .step = "the split page",
    .rule = {"3C", "28.2.1", "EPT Overview"},
    .remedy = "a read or a call met the wrong page: see the events HookProof and WriteProof",
};
constexpr vmx::Explanation watched{
    .step = "the watched pages",
    .rule = {"3C", "28.2.4", "Accessed and Dirty Flags for EPT"},
    .remedy = "a flag, the log or the split large page is wrong: see PageTouched and CutProof",
};
constexpr vmx::Explanation hidden{
    .step = "the VMM's memory",
    .rule = {"3C", "28.2.1", "EPT Overview"},
    .remedy = "the guest has read some of it: see the event HiddenProof",
};
constexpr vmx::Explanation memory_types{
    .step = "the guest's MTRRs",
    .rule = {"3C", "28.2.6.2", "Memory Type Used for Translated Guest-Physical Addresses"},
    .remedy = "the EPT does not have the type that they say: see the events MtrrFollowed",
};

}  // namespace

void report_identity(const TraceProvider& provider, const ept::Limits& limits, const VmmPages& vmm,
                     std::size_t hidden_pages) {
    const ept::PageCounts& pages = vmm.machine->pages_of_all();
    const std::size_t tables = vmm.machine->tables_of_all();
    provider.write<IdentityMapped>(limits.physical_address_bits, pages.of(Level::pointers),
                                   pages.of(Level::directory), pages.of(Level::page_table),
                                   std::uint64_t{tables}, std::uint64_t{tables * arch::page_bytes});
    provider.write<VmmHidden>(std::uint64_t{hidden_pages},
                              std::uint64_t{vmm.machine->views().identity().pool().used()});
}

void report_run(const TraceProvider& provider, const vmx::Session& session,
                const StageMemory& memory) {
    const vmx::Timestamps& timestamps = session.timestamps();
    const vmx::VirtualProcessor& processor = session.processor();
    platform::trace_vmx_on(provider, timestamps.vmxon_at);
    // The guest of two instructions comes first, and has one exit.
    platform::trace_entry(provider, timestamps.probe_at);
    trace::ExitEvent probe{};
    if (session.processor().ring->read(probe)) {
        platform::trace_exit(provider, probe, handler_names);
    }
    const Machine& machine = *memory.vmm().machine;
    provider.write<GuestFeatures>(
        yes_or_no(processor.vpid != 0),
        processor.step.by == vmx::StepBy::monitor_trap_flag ? "monitor trap flag" : "RFLAGS.TF",
        yes_or_no(session.options.epts.front()->accessed_and_dirty != 0),
        yes_or_no(processor.write_log), timestamps.vm_entry_at);
    platform::trace_entry(provider, timestamps.vm_entry_at);
    std::size_t reported = 0;
    stages::report_exits(
        provider, session.processor(),
        [&](const trace::ExitEvent& event) {
            const auto reason = std::bit_cast<vmx::ExitReasonField>(event.reason);
            if (reason.basic() != vmx::ExitReason::ept_violation) {
                return;
            }
            if (const auto* change = stages::note_about(event, machine.changes(), reported)) {
                report_change(provider, *change, event.exit_at);
            }
        },
        handler_names);
    platform::trace_ending(provider, session.processor());
    stages::report_vmx_off(provider, timestamps, session.processor());
}

std::expected<void, vmx::Failure> verify(const TraceProvider& provider, const vmx::Session& session,
                                         const StageMemory& memory) {
    const vmx::GuestStop& guest_stop = session.processor().guest_stop;
    if (guest_stop.why != vmx::StopReason::stopped_by_guest) {
        return stages::left_early(guest_stop);  // what it would have found, nobody knows
    }
    provider.write<InterruptProof>(memory.guest().found.clock_ticked);
    // All are reported, whatever the first one says.
    const Proof proofs[] = {
        {memory.guest().found.clock_ticked == 1, interrupts},
        {verify_split(provider, memory), split_page},
        {verify_touched(provider, session.processor(), memory), watched},
        {verify_hidden(provider, memory), hidden},
        {verify_mtrr(provider, memory), memory_types},
    };
    for (const Proof& proof : proofs) {
        if (!proof.holds) {
            return stages::unexpected(proof.otherwise);
        }
    }
    return {};
}

}  // namespace hvp::identity_stage
