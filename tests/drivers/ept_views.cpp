// Guests behind views, one on each processor: pages with two faces, and memory that is not there.
// The service name chooses: ept-views-turns has the guests read, call and write a thousand times in
// all, by instructions from outside the pages and from inside (ept-views-many-turns: each of them a
// thousand times); ept-views-delivery has interrupts whose delivery meets a violation;
// ept-views-scan has a guest read all of memory.
#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include "hypervisor/exits/single_step.hpp"
#include "hypervisor/hooks/view_switch.hpp"
#include "hypervisor/vcpu/exit.hpp"
#include "hypervisor/vcpu/setup/ept_setup.hpp"
#include "platform/host.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "tests/drivers/ept_views_guest.hpp"
#include "tests/drivers/other_processor.hpp"
#include "tests/drivers/service_name.hpp"
#include "tests/drivers/test_session.hpp"

namespace {

using namespace hvp;
using namespace std::string_view_literals;
using tests::Seat;

constexpr std::uint32_t most_processors = 4;
constexpr std::size_t stretches = 3;
constexpr std::size_t spare_tables = 96;

std::uint64_t physical_of(const volatile void* address) {
    return static_cast<std::uint64_t>(MmGetPhysicalAddress(const_cast<void*>(address)).QuadPart);
}

/// What only the VMM has; the tables lie behind it.
struct Hidden {
    arch::Page decoy{};
    std::array<std::uint64_t, arch::page_bytes / sizeof(std::uint64_t)> secret{};
    std::array<ept::StepFrames, most_processors> frames{};
    std::optional<ept::SplitViews> views{};
    std::array<std::optional<vmx::ViewSwitch>, most_processors> switches{};
};

/// One processor, its guest and its VMM.
struct Player {
    std::uint32_t number{};
    Hidden* hidden{};
    std::optional<tests::TestSession> session{};
    Seat* seat{};
    void (*guest)(void*){};
    std::uint64_t during_delivery{};
    std::optional<vmx::GuestStop> guest_stop{};

    [[nodiscard]] vmx::ViewSwitch& views() const { return *hidden->switches[number]; }
};

// The guests' own; not hidden.
constinit std::array<Seat, most_processors> seats{};

/// Waits until all are there, so that the guests really run at once.
constinit std::uint32_t waiting_for = 0;

void run_guest(void* context) {
    Player& player = *static_cast<Player*>(context);
    __atomic_sub_fetch(&waiting_for, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&waiting_for, __ATOMIC_SEQ_CST) != 0) {
        LARGE_INTEGER one_millisecond{.QuadPart = -10'000};
        KeDelayExecutionThread(KernelMode, FALSE, &one_millisecond);
    }
    const platform::PreemptionOff dispatch;
    // Interrupts are on in the guest: on the stack of a thread, unless that is what is tested.
    alignas(16) std::array<std::byte, KERNEL_STACK_SIZE / 2> stack;
    std::byte*& stack_end = player.session->options.stack_end;
    stack_end = stack_end != nullptr ? stack_end : stack.data() + stack.size();
    if (const auto guest_stop = player.session->run(player.guest, player.seat)) {
        player.guest_stop = *guest_stop;
    }
}

vmx::AfterEvent on_ept_violation(vmx::Exit exit, Player& player) {
    player.during_delivery += vmx::is_during_delivery(exit.vmcs) ? 1 : 0;
    const ept::GuestMemoryEvent event = vmx::guest_memory_event(exit, false);
    return vmx::after_violation(exit, event,
                                player.views().on_violation(event, exit.processor().step.by));
}

ept::Pointer on_step_end(vmx::Exit, Player& player, bool) {
    return player.views().after_step();
}

constexpr auto handlers =
    vmx::default_handlers.with<vmx::ExitReason::ept_violation, on_ept_violation>()
        .with_step_end<on_step_end>();

/// All of it: the memory, the views, and a player for each processor.
class Game {
public:
    [[nodiscard]] NTSTATUS prepare(const DRIVER_OBJECT& driver, std::uint32_t count,
                                   void (*guest)(void*));
    /// Gives the two pages their faces, and the first player's stack a face that cannot be written.
    [[nodiscard]] bool add_targets();
    void run();
    void finish();

    [[nodiscard]] Player& player(std::uint32_t number) { return players_[number]; }
    [[nodiscard]] Hidden& hidden() const { return *hidden_; }

private:
    [[nodiscard]] bool take_memory(const ept::Limits& limits);
    [[nodiscard]] bool hide(const arch::MappedRange& range) {
        return hidden_->views
            ->hide(arch::GuestPhysicalAddress{range.physical.raw()}, range.pages * arch::page_bytes,
                   arch::HostPhysicalAddress{physical_of(&hidden_->decoy)})
            .has_value();
    }

    std::uint32_t count_{};
    std::optional<platform::PageRun> run_{};
    std::optional<platform::WritableAlias> writable_{};
    Hidden* hidden_{};
    std::array<Player, most_processors> players_{};
};

bool Game::take_memory(const ept::Limits& limits) {
    const arch::MtrrSnapshot mtrrs = arch::read_mtrrs();
    const auto predicted = ept::identity_table_count(mtrrs, limits);
    if (!predicted) {
        return false;
    }
    const std::size_t identity = *predicted + spare_tables;
    const std::size_t tables = ept::SplitViews::pages_needed(identity, count_, stretches);
    constexpr std::size_t fixed = (sizeof(Hidden) + arch::page_bytes - 1) / arch::page_bytes;
    const std::size_t links =
        (tables * sizeof(std::uint32_t) + arch::page_bytes - 1) / arch::page_bytes;
    auto run =
        platform::PageRun::allocate(platform::AtPassiveLevel::in_driver_entry(),
                                    fixed + tables + links, arch::HostPhysicalAddress{0xFFFF'FFFF});
    if (!run) {
        return false;
    }
    run_.emplace(std::move(*run));
    hidden_ = new (run_->start()) Hidden{};
    auto* const first = reinterpret_cast<ept::Table*>(run_->start() + fixed * arch::page_bytes);
    hidden_->views.emplace(
        ept::TableMemory{.pages = {first, tables},
                         .links = {reinterpret_cast<std::uint32_t*>(first + tables), tables},
                         .physical = run_->physical() + fixed * arch::page_bytes},
        identity, count_, limits);
    return hidden_->views->build(mtrrs, limits.capability.accessed_and_dirty != 0).has_value();
}

NTSTATUS Game::prepare(const DRIVER_OBJECT& driver, std::uint32_t count, void (*guest)(void*)) {
    count_ = count;
    const auto limits = vmx::check_ept_support();
    if (!limits) {
        return windows::status_of(limits.error().kind);
    }
    auto writable = platform::WritableAlias::map(platform::AtPassiveLevel::in_driver_entry(),
                                                 std::bit_cast<const void*>(&tests::data_face),
                                                 arch::page_bytes);
    if (!take_memory(*limits) || !writable) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    writable_.emplace(std::move(*writable));
    const arch::MappedRange all{.linear = arch::linear_address_of(run_->start()),
                                .physical = run_->physical(),
                                .pages = run_->bytes() / arch::page_bytes,
                                .access = arch::Access::read_write};
    bool good = hide(all);
    // The players are in the VMM's hands while their guests run.
    for (std::uint32_t i = 0; i < count; ++i) {
        auto session = tests::TestSession::prepare(driver, {&all, 1});
        if (!session) {
            return windows::status_of(session.error().kind);
        }
        Player& player = players_[i];
        player.number = i;
        player.hidden = hidden_;
        player.session.emplace(std::move(*session));
        player.seat = &seats[i];
        player.guest = guest;
        seats[i] = {.number = i,
                    .writable = static_cast<volatile std::uint64_t*>(writable_->start())};
        for (const arch::MappedRange& range : player.session->memory().own_ranges()) {
            good = good && hide(range);
        }
        const auto window = player.session->memory().open_window();
        if (!window) {
            return windows::status_of(window.error().kind);
        }
        hidden_->switches[i].emplace(*hidden_->views, i, hidden_->frames[i],
                                     arch::HostPhysicalAddress{physical_of(&hidden_->frames[i])},
                                     *window);
    }
    hidden_->views->flush_done();
    return good ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

bool Game::add_targets() {
    const auto page = [](std::uint64_t linear) {
        return physical_of(reinterpret_cast<const void*>(linear)) & ~(arch::page_bytes - 1);
    };
    for (std::uint64_t i = 0; i < 2 * arch::page_bytes; i += arch::page_bytes) {
        const std::uint64_t data = page(std::bit_cast<std::uint64_t>(&tests::data_face) + i);
        const std::uint64_t code = page(std::bit_cast<std::uint64_t>(&tests::code_face) + i);
        if (!hidden_->views->add({.page = arch::GuestPhysicalAddress{data},
                                  .data = arch::HostPhysicalAddress{data},
                                  .code = arch::HostPhysicalAddress{code}})) {
            return false;
        }
    }
    return true;
}

void Game::run() {
    __atomic_store_n(&waiting_for, count_, __ATOMIC_SEQ_CST);
    for (std::uint32_t i = 0; i < count_; ++i) {
        Player& player = players_[i];
        hidden_->views->attach(i);
        vmx::GuestOptions& options = player.session->options;
        options.epts = vmx::all_views(*hidden_->views, i);
        options.features = {vmx::vpid(1)};
        options.choose_step = vmx::choose_step;
        player.session->use_exit_path(vmx::exit_path<handlers>(player));
    }
    std::array<std::optional<tests::OnOtherProcessor>, most_processors> others;
    for (std::uint32_t i = 1; i < count_; ++i) {
        others[i].emplace(i, run_guest, &players_[i]);
    }
    run_guest(&players_[0]);
}

NTSTATUS tell(Game& game, std::uint32_t count) {
    bool good = true;
    for (std::uint32_t i = 0; i < count; ++i) {
        const Player& player = game.player(i);
        const Seat& seat = *player.seat;
        const auto why = player.guest_stop ? player.guest_stop->why : vmx::StopReason::none;
        tests::print_event(
            "ViewsProof processor=%u turns=%llu reads=%llu writes=%llu crossings=%llu spans=%llu "
            "ticks=%llu during_delivery=%llu violations=%llu steps=%llu invept=%llu end=%u\n",
            i, seat.turns, seat.reads, seat.writes, seat.crossings, seat.spans, seat.ticks,
            player.during_delivery,
            player.session->vmm().processor.exits[vmx::ExitReason::ept_violation],
            player.views().view().changes_to(ept::View::step), player.views().invalidations(),
            static_cast<unsigned>(why));
        good = good && why == vmx::StopReason::stopped_by_guest;
    }
    return good ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

// Too large for a stack, and the VMM needs it: in the driver's image it has it mapped.
alignas(Game) constinit std::array<std::byte, sizeof(Game)> place_of_game{};
Game* game;

NTSTATUS play_turns(const DRIVER_OBJECT& driver, bool all_of_each_guest) {
    const auto count =
        std::min<std::uint32_t>(KeQueryActiveProcessorCount(nullptr), most_processors);
    if (const NTSTATUS status = game->prepare(driver, count, tests::take_turns);
        status != STATUS_SUCCESS) {
        return status;
    }
    if (!game->add_targets()) {
        return STATUS_UNSUCCESSFUL;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        game->player(i).seat->rounds = tests::all_rounds / (all_of_each_guest ? 1 : count);
    }
    game->run();
    return tell(*game, count);
}

/// The guest's stack is a page that cannot be written in the code view, in which the guest waits.
NTSTATUS deliver_interrupts(const DRIVER_OBJECT& driver) {
    auto stack = platform::PageRun::allocate(platform::AtPassiveLevel::in_driver_entry(), 4,
                                             arch::HostPhysicalAddress{0xFFFF'FFFF});
    if (!stack) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (const NTSTATUS status = game->prepare(driver, 1, tests::wait_for_clock);
        status != STATUS_SUCCESS) {
        return status;
    }
    bool good = game->add_targets();
    for (std::size_t i = 0; i < stack->bytes(); i += arch::page_bytes) {
        const arch::HostPhysicalAddress page = stack->physical() + i;
        good =
            good &&
            game->hidden()
                .views
                ->add({.page = arch::GuestPhysicalAddress{page.raw()}, .data = page, .code = page})
                .has_value();
    }
    if (!good) {
        return STATUS_UNSUCCESSFUL;
    }
    game->player(0).session->options.stack_end = stack->end();
    game->run();
    return tell(*game, 1);
}

// ---- Reading everything

constexpr std::uint64_t memory_bytes = 64ULL << 20;  // of the machine that runs this

/// Windows' page tables, and 64 MBytes of physical memory at 512 GBytes.
struct PageTables {
    std::array<std::uint64_t, 512> pml4{};
    std::array<std::uint64_t, 512> pointers{};
    std::array<std::uint64_t, 512> directory{};
};

void build(PageTables& tables) {
    constexpr std::uint64_t present_writable = 3;
    constexpr std::uint64_t large = 1U << 7;
    constexpr std::uint64_t mb_2 = 2ULL << 20;
    MM_COPY_ADDRESS source{};
    source.PhysicalAddress.QuadPart =
        static_cast<LONGLONG>(arch::read_cr3() & ~(arch::page_bytes - 1));
    SIZE_T copied = 0;
    (void)MmCopyMemory(tables.pml4.data(), source, arch::page_bytes, mm_copy_memory_physical,
                       &copied);
    tables.pml4[1] = physical_of(&tables.pointers) | present_writable;
    tables.pointers[0] = physical_of(&tables.directory) | present_writable;
    for (std::uint64_t i = 0; i * mb_2 < memory_bytes; ++i) {
        tables.directory[i] = i * mb_2 | large | present_writable;
    }
}

/// Of two entries that follow each other in the identity's tables. One alone can be anywhere: who
/// has built the tables has left it on a stack.
std::pair<std::uint64_t, std::uint64_t> complements_of_entries(const ept::SplitViews& views) {
    constexpr std::uint64_t gb = 1ULL << 30;
    const auto complement = [&](std::uint64_t address) {
        return ~views.identity().walk(arch::GuestPhysicalAddress{address}).steps[1].entry.raw();
    };
    return {complement(gb), complement(2 * gb)};
}

NTSTATUS scan_memory(const DRIVER_OBJECT& driver) {
    auto run = platform::PageRun::allocate(platform::AtPassiveLevel::in_driver_entry(), 3,
                                           arch::HostPhysicalAddress{0xFFFF'FFFF});
    if (!run) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (const NTSTATUS status = game->prepare(driver, 1, tests::scan); status != STATUS_SUCCESS) {
        return status;
    }
    auto& tables = *new (run->start()) PageTables{};
    build(tables);
    Seat& seat = seats[0];
    Hidden& hidden = game->hidden();
    // Nobody but the VMM has these words: all others know their complements.
    const std::uint64_t complement = arch::rdtsc() * 0x9E37'79B9'7F4A'7C15;
    for (std::uint64_t& word : hidden.secret) {
        *const_cast<volatile std::uint64_t*>(&word) = ~complement;
    }
    seat.complements = {std::pair{complement, complement}, complements_of_entries(*hidden.views)};
    seat.cr3 = run->physical().raw();
    constexpr std::uint64_t gb_512 = 512ULL << 30;
    seat.memory = reinterpret_cast<const volatile std::uint64_t*>(gb_512);
    seat.words = memory_bytes / sizeof(std::uint64_t);
    game->run();
    const auto here = static_cast<std::uint64_t>(std::ranges::count(hidden.secret, ~complement));
    const auto why =
        game->player(0).guest_stop ? game->player(0).guest_stop->why : vmx::StopReason::none;
    tests::print_event(
        "ScanProof words=%llu secrets=%llu secrets_found=%llu entries_found=%llu end=%u\n",
        seat.scanned, here, seat.found[0], seat.found[1], static_cast<unsigned>(why));
    return why == vmx::StopReason::stopped_by_guest ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    driver->DriverUnload = on_unload;
    const KAFFINITY before = KeSetSystemAffinityThreadEx(1);
    game = new (place_of_game.data()) Game{};
    NTSTATUS status = STATUS_NOT_SUPPORTED;
    if (tests::is_service(*path, "ept-views-"sv, "turns"sv)) {
        status = play_turns(*driver, false);
    } else if (tests::is_service(*path, "ept-views-"sv, "many-turns"sv)) {
        status = play_turns(*driver, true);
    } else if (tests::is_service(*path, "ept-views-"sv, "delivery"sv)) {
        status = deliver_interrupts(*driver);
    } else if (tests::is_service(*path, "ept-views-"sv, "scan"sv)) {
        status = scan_memory(*driver);
    }
    game->~Game();
    KeRevertToUserAffinityThreadEx(before);
    return status;
}
