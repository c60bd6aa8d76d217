// What an EPT costs: to build it, to change it, and to handle an access that it does not allow.
// It is the prepared guest of stages/ept, with the stage's own set of pages and its own views; only
// the guest's programs are others, as they do the same thing again and again.
//
// The time-stamp counter of the lab's machine counts instructions. From an EPT violation to the VM
// entry after it, and from a CPUID, the processor's own log has the ticks.
//
// Splitting a large page and merging it again is measured on tables that no processor uses, so
// without INVEPT. What maps of all memory cost, bench/identity.cpp finds out on the host.
#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <utility>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vcpu/setup/ept_setup.hpp"
#include "platform/host.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "stages/ept/guest.hpp"
#include "stages/ept/memory.hpp"
#include "stages/ept/views.hpp"
#include "stages/shared/guest_calls.hpp"
#include "tests/drivers/test_session.hpp"

namespace {

using namespace hvp;
using ept_stage::Call;
using ept_stage::GuestData;

/// A guest's violations, which its views note, must stay below 64.
constexpr std::size_t times = 20;
constexpr std::size_t edits = 2 * times;

/// What both parts work on. Not on the stack: in VMX root operation that is another one.
struct Bench {
    ept_stage::Memory* memory{};
    ept::Limits limits{};
    bool all_right{true};
    std::uint64_t call{};
    std::size_t edits_done{};
    std::array<std::uint64_t, times> build_ticks{};
    std::array<std::uint64_t, edits> edit_ticks{};
    std::uint64_t split_ticks{};
    std::uint64_t merge_ticks{};
} bench;

[[gnu::noinline]] std::uint64_t ticks_of_call(void (*work)(void*), void* argument) {
    const std::uint64_t before = arch::rdtsc();
    work(argument);
    return arch::rdtsc() - before;
}

[[gnu::noinline]] void do_nothing(void*) {
    asm volatile("");
}

/// Those of the call itself left out.
std::uint64_t ticks_of(void (*work)(void*), void* argument) {
    const std::uint64_t call_alone = ticks_of_call(do_nothing, argument);
    return ticks_of_call(work, argument) - call_alone;
}

// ---- Building -----------------------------------------------------------------------------------

void build(void* place) {
    auto tables = ept::Tables::create(*bench.memory->pool, bench.limits);
    if (!tables || !ept_stage::map_all(*tables, bench.memory->needed)) {
        bench.all_right = false;
        return;
    }
    static_cast<std::optional<ept::Tables>*>(place)->emplace(std::move(*tables));
}

void build_often() {
    const arch::InterruptsOff interrupts_off;
    for (std::uint64_t& ticks : bench.build_ticks) {
        std::optional<ept::Tables> built;
        ticks = ticks_of(build, &built);
    }
}

// ---- Splitting a page of 2 MBytes, and merging it -----------------------------------------------

void split(void* tables) {
    const auto pending = static_cast<ept::Tables*>(tables)->split(arch::GuestPhysicalAddress{0},
                                                                  ept::Level::page_table);
    bench.all_right &= pending.has_value();
}

void merge(void* tables) {
    const auto pending = static_cast<ept::Tables*>(tables)->merge(arch::GuestPhysicalAddress{0},
                                                                  ept::Level::directory);
    bench.all_right &= pending.has_value();
}

void split_and_merge() {
    const arch::InterruptsOff interrupts_off;
    auto tables = ept::Tables::create(*bench.memory->pool, bench.limits);
    const ept::Mapping large_page{.bytes = ept::bytes_of_entry(ept::Level::directory),
                                  .to = {.rights = ept::everything},
                                  .largest = ept::Level::directory};
    if (!tables || !tables->map(large_page)) {
        bench.all_right = false;
        return;
    }
    bench.split_ticks = ticks_of(split, &*tables);
    bench.merge_ticks = ticks_of(merge, &*tables);
    bench.all_right &=
        tables->walk(arch::GuestPhysicalAddress{0}).last().level == ept::Level::directory;
}

/// The stores that no way of building can do without: each entry of each table once, as a table
/// that is taken may hold anything, and once more where it leads to a page or a table.
std::uint64_t least_stores(std::size_t tables, std::size_t pages) {
    return tables * ept::entries_of_table + pages + tables - 1;
}

// ---- The guests ---------------------------------------------------------------------------------

// On the page of the stage's own programs.
[[noreturn, gnu::section("GUEST")]] void redirect_often(void* guest_data) {
    GuestData& data = *static_cast<GuestData*>(guest_data);
    for (std::size_t i = 0; i < times; ++i) {
        (void)stages::ask(Call::redirect);
        data.found.redirected += data.target();
        (void)stages::ask(Call::put_back);
        data.found.after += data.target();
    }
    stages::stop();
}

[[noreturn, gnu::section("GUEST")]] void swap_often(void* guest_data) {
    GuestData& data = *static_cast<GuestData*>(guest_data);
    (void)stages::ask(Call::split);
    for (std::size_t i = 0; i < times; ++i) {
        data.found.call_after += data.target();
        (void)*data.target_page;
        (void)arch::cpuid(0);
    }
    stages::stop();
}

// ---- Their VMM ----------------------------------------------------------------------------------

void answer_call(void* views) {
    bench.all_right &= static_cast<ept_stage::Views*>(views)->on_call(bench.call);
}

/// In VMX root operation: the stage's own answer to a call, between two looks at the counter.
vmx::Next on_measured_call(vmx::Exit exit, ept_stage::Views& views) {
    return vmx::answer_vmcall(
        exit, [&](std::uint64_t call, std::uint64_t) -> std::optional<std::uint64_t> {
            if (bench.edits_done == bench.edit_ticks.size()) {
                return std::nullopt;
            }
            bench.call = call;
            bench.edit_ticks[bench.edits_done++] = ticks_of(answer_call, &views);
            return 0;
        });
}

constexpr auto measuring_handlers =
    vmx::default_handlers.with<vmx::ExitReason::vmcall, on_measured_call>();

std::expected<void, vmx::Failure> run(tests::TestSession& session, void (*code)(void*),
                                      const vmx::ExitPath& path) {
    session.use_exit_path(path);
    const auto guest_stop = session.run(code, &bench.memory->guest);
    if (!guest_stop) {
        return std::unexpected{guest_stop.error()};
    }
    bench.all_right &= guest_stop->why == vmx::StopReason::stopped_by_guest;
    return {};
}

std::expected<void, vmx::Failure> run_guests(const DRIVER_OBJECT& driver,
                                             const arch::MappedRange& memory) {
    auto session = tests::TestSession::prepare(driver, {&memory, 1});
    if (!session) {
        return std::unexpected{session.error()};
    }
    ept_stage::Memory& stage = *bench.memory;
    const auto created = create_views(stage, ept_stage::InitialMap::everything_needed, 0);
    if (!created) {
        return created;
    }
    session->options.epts = {stage.views->tables().pointer()};
    session->options.stack_end = (&stage.guest_stack + 1)->bytes.data();
    const auto measuring = vmx::exit_path<measuring_handlers>(*stage.views);
    if (const auto ran = run(*session, redirect_often, measuring); !ran) {
        return ran;
    }
    return run(*session, swap_often, ept_stage::untraced_exit_path(*stage.views));
}

// ---- Result -------------------------------------------------------------------------------------

bool is_right(const ept_stage::Memory& memory) {
    const ept_stage::Findings& found = memory.guest.found;
    return bench.all_right && bench.edits_done == edits &&
           found.redirected == times * ept_stage::answer_of_other &&
           found.after == times * ept_stage::answer_of_target &&
           found.call_after == times * ept_stage::answer_of_other &&
           memory.views->violations().size() == 2 * times &&
           memory.views->edits() == memory.views->invalidations();
}

void report(const ept_stage::Memory& memory) {
    const std::size_t tables = memory.pool->used();
    const std::size_t pages = memory.needed.pages().size();
    tests::print_event(
        "Built map=\"the prepared guest\" pages=%llu table_bytes=%llu "
        "pool_bytes=%llu least=%llu\n",
        std::uint64_t{pages}, tables * arch::page_bytes, std::uint64_t{sizeof memory.tables},
        least_stores(tables, pages));
    for (const std::uint64_t ticks : bench.build_ticks) {
        tests::print_event("Ticks of=build ticks=%llu\n", ticks);
    }
    for (const std::uint64_t ticks : bench.edit_ticks) {
        tests::print_event("Ticks of=edit ticks=%llu\n", ticks);
    }
    tests::print_event("Ticks of=split ticks=%llu\n", bench.split_ticks);
    tests::print_event("Ticks of=join ticks=%llu\n", bench.merge_ticks);
}

std::expected<bool, vmx::Failure> measure(const DRIVER_OBJECT& driver) {
    const auto limits = vmx::check_ept_support();
    if (!limits) {
        return std::unexpected{limits.error()};
    }
    const auto memory =
        ept_stage::take_memory(platform::AtPassiveLevel::in_driver_entry(), *limits);
    if (!memory) {
        return std::unexpected{memory.error()};
    }
    bench.memory = &**memory;
    bench.limits = *limits;
    build_often();
    split_and_merge();
    if (const auto ran = run_guests(driver, memory->range()); !ran) {
        return std::unexpected{ran.error()};
    }
    const bool right = (*memory)->views && is_right(**memory);
    if (right) {
        report(**memory);
    }
    (*memory)->views.reset();
    return right;
}

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    const platform::PinnedToProcessor pinned;
    const auto right = measure(*driver);
    if (!right) {
        tests::print_failure(right.error());
        return windows::status_of(right.error().kind);
    }
    return *right ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}
