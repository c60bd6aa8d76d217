// A guest whose EPT is wrong, and one whose EPT is changed by another processor. The service name
// chooses: ept-memory-type, ept-reserved-bit and ept-write-only put such an entry
// where the guest reads; ept-exchange changes what a page leads to, again and again, while the
// guest on the other processor calls the function there and reads its bytes.
//
// All memory below 4 GBytes is mapped one to one, so that the guest may use whatever it likes.
#include <array>
#include <bit>
#include <cstdint>
#include <new>
#include <optional>
#include <string_view>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/ept/tables.hpp"
#include "hypervisor/exits/hypercall.hpp"
#include "hypervisor/vcpu/setup/ept_setup.hpp"
#include "platform/host.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "tests/drivers/service_name.hpp"
#include "tests/drivers/test_session.hpp"

namespace {

using namespace hvp;
using namespace std::string_view_literals;
using ept::Level;

constexpr std::uint64_t answer_a = 0xAA;
constexpr std::uint64_t answer_b = 0xBB;
constexpr std::uint64_t exchanges = 200;
constexpr std::size_t table_pages = 16;

// Each on a page of its own.
[[gnu::section("FRAMEA")]] std::uint64_t function_a() {
    return answer_a;
}
[[gnu::section("FRAMEB")]] std::uint64_t function_b() {
    return answer_b;
}

/// What editor and guest know of each other. All accesses are atomic.
struct Shared {
    std::uint64_t (*function)(){};
    std::uint64_t ready{};      ///< the guest runs
    std::uint64_t started{};    ///< exchanges that have begun
    std::uint64_t completed{};  ///< … after which every processor has forgotten the old page
    std::uint64_t forgotten{};  ///< … for which the guest's processor has executed INVEPT
    std::uint64_t stop{};
    std::uint64_t rounds{};
    std::uint64_t judged{};  ///< rounds with no exchange in them
    std::uint64_t wrong{};   ///< answers of the wrong page, after an exchange was complete
    std::uint64_t strange{};
    std::uint64_t first_word_a{};
    std::uint64_t first_word_b{};
};

template <typename T>
T load(const T& value) {
    return __atomic_load_n(&value, __ATOMIC_SEQ_CST);
}
template <typename T>
void store(T& place, T value) {
    __atomic_store_n(&place, value, __ATOMIC_SEQ_CST);
}

/// What lies in the driver's pages.
struct Memory {
    alignas(arch::page_bytes) std::array<ept::Table, table_pages> tables{};
    std::array<std::uint32_t, table_pages> links{};
    std::optional<ept::TablePool> pool{};
    std::optional<ept::Tables> ept{};
    ept::Limits limits{};
    ept::PendingInvalidation pending{};  ///< of the exchange that has started last
    std::uint32_t guest_processor{};
    std::uint64_t invept_failed{};
    Shared shared{};
};

std::uint64_t physical_page(std::uint64_t (*function)()) {
    const auto physical = MmGetPhysicalAddress(std::bit_cast<void*>(function)).QuadPart;
    return static_cast<std::uint64_t>(physical) & ~(arch::page_bytes - 1);
}

std::expected<void, ept::EditError> build(Memory& memory) {
    auto tables = ept::Tables::create(*memory.pool, memory.limits);
    if (!tables) {
        return std::unexpected{tables.error()};
    }
    constexpr std::uint64_t gb_4 = 1ULL << 32;
    const auto pending = tables->map({.guest = arch::GuestPhysicalAddress{0},
                                      .bytes = gb_4,
                                      .to = {.rights = ept::everything},
                                      .largest = Level::directory});
    if (!pending) {
        return std::unexpected{pending.error()};
    }
    memory.ept.emplace(std::move(*tables));
    return {};
}

// ---- The guests

[[noreturn]] void stop() {
    (void)vmx::hypercall(vmx::Hypercall::stop, 0);
    for (;;) {
        arch::hlt();
    }
}

void read_once(void* argument) {
    const auto& shared = *static_cast<Shared*>(argument);
    (void)*std::bit_cast<const volatile std::uint64_t*>(shared.function);
    stop();
}

/// Calls and reads until it is told to stop. Where no exchange has begun since one was complete,
/// both must come from that exchange's page; else from either.
void call_and_read(void* argument) {
    auto& shared = *static_cast<Shared*>(argument);
    store(shared.ready, std::uint64_t{1});
    while (load(shared.stop) == 0) {
        const std::uint64_t completed = load(shared.completed);
        const std::uint64_t answer = shared.function();
        const std::uint64_t word = *std::bit_cast<const volatile std::uint64_t*>(shared.function);
        const std::uint64_t started = load(shared.started);
        const bool known = (answer == answer_a || answer == answer_b) &&
                           (word == shared.first_word_a || word == shared.first_word_b);
        shared.strange += known ? 0 : 1;
        if (started == completed) {
            const bool is_b = completed % 2 == 1;
            const bool right = answer == (is_b ? answer_b : answer_a) &&
                               word == (is_b ? shared.first_word_b : shared.first_word_a);
            shared.wrong += right ? 0 : 1;
            ++shared.judged;
        }
        ++shared.rounds;
    }
    stop();
}

// ---- One processor changes, the other one must forget

/// In VMX root operation of the guest's processor: is there something to forget?
bool forget(Memory& memory) {
    const std::uint64_t started = load(memory.shared.started);
    if (load(memory.shared.forgotten) == started) {
        return false;  // not ours
    }
    if (!ept::invalidate_here(memory.pending, memory.guest_processor, memory.limits.capability)) {
        ++memory.invept_failed;
    }
    store(memory.shared.forgotten, started);
    return true;
}

vmx::AfterEvent on_exception_or_nmi(vmx::Exit exit, Memory& memory) {
    return vmx::answer_exception_or_nmi(exit, [&] { return forget(memory); });
}
vmx::AfterEvent on_nmi_window(vmx::Exit exit, Memory& memory) {
    return vmx::answer_window(exit, [&] { return forget(memory); });
}
constexpr auto handlers =
    vmx::default_handlers.with<vmx::ExitReason::exception_or_nmi, on_exception_or_nmi>()
        .with<vmx::ExitReason::nmi_window, on_nmi_window>();

/// An NMI to another processor, by the local APIC.
/// [SDM 3A 10.6.1 "Interrupt Command Register (ICR)"]
void send_nmi(volatile std::uint32_t* apic, std::uint32_t destination) {
    constexpr std::size_t command_low = 0x300 / 4;
    constexpr std::size_t command_high = 0x310 / 4;
    constexpr std::uint32_t nmi_asserted = 0x4400;
    apic[command_high] = destination << 24;
    apic[command_low] = nmi_asserted;
}

void exchange(Memory& memory, volatile std::uint32_t* apic, std::uint32_t destination) {
    Shared& shared = memory.shared;
    const std::uint64_t number = shared.started + 1;
    const std::uint64_t frame = physical_page(number % 2 == 1 ? function_b : function_a);
    store(shared.started, number);  // from here on the guest may see either
    const auto pending = memory.ept->map(
        {.guest = arch::GuestPhysicalAddress{physical_page(function_a)},
         .bytes = arch::page_bytes,
         .to = {.physical = arch::HostPhysicalAddress{frame}, .rights = ept::read_execute}});
    memory.pending = pending.value_or(ept::PendingInvalidation{});
    if (memory.pending.processors.has(memory.guest_processor)) {
        send_nmi(apic, destination);
        while (load(shared.forgotten) != number && load(shared.stop) == 0) {
            arch::pause();
        }
    } else {
        store(shared.forgotten, number);
    }
    memory.ept->flush_done(memory.pending);
    store(shared.completed, number);
}

// ---- The driver

struct Worker {
    tests::TestSession& session;
    Memory& memory;
    std::optional<vmx::GuestStop> guest_stop{};
    std::uint32_t apic_id{};
};

void run_on_processor_1(void* context) {
    auto& worker = *static_cast<Worker*>(context);
    const KAFFINITY before = KeSetSystemAffinityThreadEx(KAFFINITY{1} << 1);
    worker.apic_id = arch::cpuid(1).ebx >> 24;
    const auto guest_stop = worker.session.run(call_and_read, &worker.memory.shared);
    if (guest_stop) {
        worker.guest_stop = *guest_stop;
    }
    store(worker.memory.shared.stop, std::uint64_t{1});
    store(worker.memory.shared.ready, std::uint64_t{1});
    KeRevertToUserAffinityThreadEx(before);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

NTSTATUS exchange_under_a_guest(tests::TestSession& session, Memory& memory) {
    PHYSICAL_ADDRESS apic_base{};
    apic_base.QuadPart = 0xFEE0'0000;
    auto* const apic =
        static_cast<volatile std::uint32_t*>(MmMapIoSpace(apic_base, PAGE_SIZE, MmNonCached));
    memory.guest_processor = 1;
    memory.ept->attach(1);
    session.use_exit_path(vmx::exit_path<handlers>(memory));
    Worker worker{.session = session, .memory = memory};
    HANDLE handle{};
    if (PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr,
                             run_on_processor_1, &worker) != STATUS_SUCCESS) {
        return STATUS_UNSUCCESSFUL;
    }
    void* thread{};
    ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, nullptr, KernelMode, &thread, nullptr);
    ZwClose(handle);
    Shared& shared = memory.shared;
    while (load(shared.ready) == 0) {
        arch::pause();
    }
    for (std::uint64_t i = 0; i < exchanges && load(shared.stop) == 0; ++i) {
        exchange(memory, apic, worker.apic_id);
        // So that the guest comes to some rounds with nothing going on.
        for (std::uint64_t seen = load(shared.judged);
             load(shared.judged) < seen + 2 && load(shared.stop) == 0;) {
            arch::pause();
        }
    }
    store(shared.stop, std::uint64_t{1});
    KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, nullptr);
    ObDereferenceObject(thread);
    MmUnmapIoSpace(const_cast<std::uint32_t*>(apic), PAGE_SIZE);
    const auto why = worker.guest_stop ? worker.guest_stop->why : vmx::StopReason::none;
    tests::print_event(
        "ExchangeProof exchanges=%llu rounds=%llu judged=%llu wrong=%llu strange=%llu "
        "invept_failed=%llu end=%u\n",
        shared.completed, shared.rounds, shared.judged, shared.wrong, shared.strange,
        memory.invept_failed, static_cast<unsigned>(why));
    const bool good = why == vmx::StopReason::stopped_by_guest && shared.completed == exchanges &&
                      shared.wrong == 0 && shared.strange == 0 && memory.invept_failed == 0;
    return good ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

struct Mistake {
    std::string_view name;
    std::uint64_t changed_bits;  ///< of the entry
    Level level;
};
constexpr std::array mistakes{
    Mistake{"memory-type"sv, 1ULL << 3, Level::page_table},  // 6 becomes 7
    Mistake{"reserved-bit"sv, 1ULL << 45, Level::directory},
    Mistake{"write-only"sv, 1ULL << 0 | 1ULL << 2, Level::page_table},
};

NTSTATUS read_through(tests::TestSession& session, Memory& memory, const Mistake& mistake) {
    const arch::GuestPhysicalAddress page{physical_page(function_a)};
    // A page table for it, in which the entry then goes wrong.
    const auto pending = memory.ept->map(
        {.guest = page,
         .bytes = arch::page_bytes,
         .to = {.physical = arch::HostPhysicalAddress{page.raw()}, .rights = ept::everything}});
    const std::uint32_t step = 4 - static_cast<std::uint32_t>(mistake.level);
    const ept::Entry right = memory.ept->walk(page).steps[step].entry;
    const ept::PendingInvalidation owed =
        memory.ept->write_raw(page, mistake.level, ept::Entry{right.raw() ^ mistake.changed_bits});
    if (!pending || !pending->empty() || !owed.empty()) {
        return STATUS_UNSUCCESSFUL;
    }
    const auto guest_stop = session.run(read_once, &memory.shared);
    const ept::Walk walk = memory.ept->walk(page);
    const ept::PendingInvalidation mended = memory.ept->write_raw(page, mistake.level, right);
    memory.ept->flush_done(mended);
    if (!guest_stop) {
        return STATUS_UNSUCCESSFUL;
    }
    tests::print_event(
        "Misconfigured end=%u reason=%u guest_physical=0x%llx level=%u rule=\"%s\" rip_moved=%u\n",
        static_cast<unsigned>(guest_stop->why),
        static_cast<unsigned>(guest_stop->reason.basic_reason),
        guest_stop->memory.guest_physical.raw(), static_cast<unsigned>(walk.last().level),
        ept::name_of(walk.rule),
        guest_stop->memory.guest_rip.raw() == guest_stop->guest_rip ? 0U : 1U);
    const bool good = guest_stop->why == vmx::StopReason::ept_misconfigured &&
                      walk.end == ept::WalkEnd::misconfigured && walk.last().level == mistake.level;
    return good ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

NTSTATUS perform(Memory& memory, const platform::PageRun& pages, const DRIVER_OBJECT& driver,
                 const UNICODE_STRING& path) {
    memory.pool.emplace(memory.tables, memory.links, pages.physical());
    const auto limits = vmx::check_ept_support();
    if (!limits) {
        return windows::status_of(limits.error().kind);
    }
    memory.limits = *limits;
    if (!build(memory)) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    memory.shared.function = function_a;
    memory.shared.first_word_a = *std::bit_cast<const std::uint64_t*>(&function_a);
    memory.shared.first_word_b = *std::bit_cast<const std::uint64_t*>(&function_b);
    const arch::MappedRange range{.linear = arch::linear_address_of(&memory),
                                  .physical = pages.physical(),
                                  .pages = pages.bytes() / arch::page_bytes,
                                  .access = arch::Access::read_write};
    auto session = tests::TestSession::prepare(driver, {&range, 1});
    if (!session) {
        return windows::status_of(session.error().kind);
    }
    session->options.epts = {memory.ept->pointer()};
    for (const Mistake& mistake : mistakes) {
        if (tests::is_service(path, "ept-"sv, mistake.name)) {
            return read_through(*session, memory, mistake);
        }
    }
    return tests::is_service(path, "ept-"sv, "exchange"sv)
               ? exchange_under_a_guest(*session, memory)
               : STATUS_NOT_SUPPORTED;
}

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    driver->DriverUnload = on_unload;
    const KAFFINITY before = KeSetSystemAffinityThreadEx(1);
    constexpr std::size_t pages = (sizeof(Memory) + arch::page_bytes - 1) / arch::page_bytes;
    const auto run = platform::PageRun::allocate(platform::AtPassiveLevel::in_driver_entry(), pages,
                                                 arch::HostPhysicalAddress{0xFFFF'FFFF});
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    if (run) {
        auto* const memory = new (run->start()) Memory{};
        status = perform(*memory, *run, *driver, *path);
        memory->~Memory();
    }
    KeRevertToUserAffinityThreadEx(before);
    return status;
}
