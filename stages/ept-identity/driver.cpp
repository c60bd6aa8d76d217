// ept-identity: a guest that has all of memory, where it is, and yet not all as it is.
//
// The EPT maps every physical address to itself, devices included, with the memory types that the
// MTRRs say, in pages as large as that allows. So the guest may use whatever Windows uses, and runs
// with interrupts on: they are Windows', and its handlers run in the guest.
//
// The VMM has several views of that, which differ in a few pages. On a function's page reads find
// its own bytes, and instruction fetches another function. The VMM's own memory is a page of
// zeroes. A large page is split into 512 to see which of them the guest uses, and merged again. And
// when the guest changes how a range is cached, the EPT follows.
//
// The code below is in the order in which it runs. hypervisor/ept has the tables, hypervisor/hooks
// the views.
#include <array>
#include <expected>

#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/exits/single_step.hpp"
#include "hypervisor/vcpu/session.hpp"
#include "hypervisor/vcpu/setup/ept_setup.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmx/capabilities.hpp"
#include "platform/exit_events.hpp"
#include "platform/host.hpp"
#include "platform/vmm_memory.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "stages/ept-identity/guest.hpp"
#include "stages/ept-identity/journal.hpp"
#include "stages/ept-identity/machine.hpp"
#include "stages/ept-identity/memory.hpp"
#include "stages/shared/result.hpp"
#include "stages/shared/setting.hpp"

namespace {

using namespace hvp;
using identity_stage::StageMemory;
using stages::Setting;

/// Half of a thread's stack.
constexpr std::size_t guest_stack_bytes = KERNEL_STACK_SIZE / 2;

template <typename T>
using Expected = std::expected<T, vmx::Failure>;

Expected<void> run_guest(const Setting& setting, const StageMemory& memory);
Expected<void> build_machine(const Setting& setting, const StageMemory& memory,
                             const arch::MtrrSnapshot& mtrrs);
std::array<arch::MappedRange, 3> hidden_ranges(const Setting& setting, const StageMemory& memory);
void prepare_guest(const StageMemory& memory, const arch::MtrrSnapshot& mtrrs,
                   const platform::WritableAlias& target);
std::unexpected<vmx::Failure> no_tables(ept::EditError error);
void on_unload(PDRIVER_OBJECT) {}

}  // namespace

// ---- The life of the driver -------------------------------------------------------------------

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    if (!platform::runs_in_a_kernel()) {
        return STATUS_NOT_SUPPORTED;
    }
    const auto passive = platform::AtPassiveLevel::in_driver_entry();
    const platform::TraceProvider provider{passive};
    const platform::PinnedToProcessor pinned;

    const Expected<void> outcome = [&] -> Expected<void> {
        const Expected<vmx::VmxCapabilities> capabilities = vmx::probe_vmx();
        if (!capabilities) {
            return std::unexpected{capabilities.error()};
        }
        if (const auto good = vmx::check_no_enlightenments(); !good) {
            return good;
        }
        const Expected<ept::Limits> limits = vmx::check_ept_support();
        if (!limits) {
            return std::unexpected{limits.error()};
        }
        platform::trace_supported(provider, capabilities->basic, arch::rdtsc());

        // The MTRRs decide how large the pages can be, and so how many tables there will be.
        const arch::MtrrSnapshot mtrrs = arch::read_mtrrs();
        const auto tables = ept::identity_table_count(mtrrs, *limits);
        if (!tables) {
            return no_tables(ept::EditError::no_table_left);
        }
        const Expected<StageMemory> stage = StageMemory::take(passive, *limits, *tables);
        if (!stage) {
            return std::unexpected{stage.error()};
        }
        // The guest writes to its own function's page, whose mapping is read-only.
        const auto target = platform::WritableAlias::map(
            passive, std::bit_cast<const void*>(&identity_stage::target), arch::page_bytes);
        if (!target) {
            return stages::no_pages();
        }
        const arch::MappedRange for_the_vmm = stage->vmm_range();
        Expected<platform::VmmMemory> memory = platform::VmmMemory::take(
            passive, *capabilities, platform::DriverImage{*driver}, {&for_the_vmm, 1});
        if (!memory) {
            return std::unexpected{memory.error()};
        }
        const Setting setting{.provider = provider,
                              .capabilities = *capabilities,
                              .memory = *memory,
                              .processor = pinned.index()};
        if (const auto built = build_machine(setting, *stage, mtrrs); !built) {
            return built;
        }
        prepare_guest(*stage, mtrrs, *target);
        std::size_t hidden = 0;
        for (const arch::MappedRange& range : hidden_ranges(setting, *stage)) {
            hidden += range.pages;
        }
        report_identity(provider, *limits, stage->vmm(), hidden);
        return run_guest(setting, *stage);
    }();  // the memory is freed
    if (!outcome) {
        platform::trace_failure(provider, outcome.error());
        return windows::status_of(outcome.error().kind);
    }
    return STATUS_SUCCESS;
}

namespace {

// ---- The guest, from VMXON to VMXOFF ------------------------------------------------------------

Expected<void> run_guest(const Setting& setting, const StageMemory& memory) {
    identity_stage::VmmPages& pages = memory.vmm();
    vmx::Session session{setting.memory.session_memory(), setting.capabilities,
                         vmx::traced_exits()};
    session.use_exit_path(identity_stage::exit_path(*pages.machine, session.processor()));
    session.options.epts = pages.machine->epts();
    session.options.features = {vmx::vpid(static_cast<std::uint16_t>(setting.processor + 1))};
    session.options.choose_step = vmx::choose_step;
    // An exit that nobody handles may come in the middle of an interrupt's handler, which must end:
    // so this guest is not dropped, it goes on without the VMM.
    session.options.departs = true;
    memory.guest().departed = &session.processor().departed;
    memory.guest().frame = session.vmm().frame();
    // On the stack of this thread: interrupt handlers run in the guest, and in them exceptions may
    // occur, which Windows dispatches on a stack that it knows, or not at all.
    alignas(16) std::array<std::byte, guest_stack_bytes> stack;  // the guest writes before it reads
    session.options.stack_end = stack.data() + stack.size();
    if (memory.limits().capability.accessed_and_dirty != 0) {
        session.options.features[1] = vmx::write_log(memory.physical_of(&pages.write_log));
    }
    {
        // Interrupts are on in the guest, and their handlers run there; another thread must not.
        const platform::PreemptionOff dispatch;
        const auto guest_stop = session.run(identity_stage::explore, &memory.guest());
        if (!guest_stop) {
            return std::unexpected{guest_stop.error()};
        }
    }
    report_run(setting.provider, session, memory);
    return verify(setting.provider, session, memory);
}

// ---- The views ----------------------------------------------------------------------------------

Expected<void> build_machine(const Setting& setting, const StageMemory& memory,
                             const arch::MtrrSnapshot& mtrrs) {
    identity_stage::VmmPages& pages = memory.vmm();
    const auto window = setting.memory.open_window();
    if (!window) {
        return std::unexpected{window.error()};
    }
    const auto guest_page_of = [](const volatile void* something) {
        return arch::GuestPhysicalAddress{platform::physical_page_of(something).raw()};
    };
    const identity_stage::Places places{
        .target = guest_page_of(std::bit_cast<const void*>(&identity_stage::target)),
        .other = platform::physical_page_of(identity_stage::code_page.data()),
        .watched = guest_page_of(memory.watched()),
        .frames = memory.physical_of(&pages.frames),
        .mtrr_range = arch::GuestPhysicalAddress{identity_stage::mtrr_range}};
    pages.machine.emplace(memory.tables(), memory.identity_tables(), memory.limits(), places);
    const auto built = pages.machine->build(mtrrs, hidden_ranges(setting, memory),
                                            memory.physical_of(&pages.decoy));
    if (!built) {
        return no_tables(built.error());
    }
    pages.machine->begin(pages.frames, pages.write_log, *window);
    return {};
}

std::unexpected<vmx::Failure> no_tables(ept::EditError error) {
    static constexpr vmx::Explanation why{
        .step = "the EPT",
        .rule = {"3C", "28.2.2", "EPT Translation Mechanism"},
        .remedy = "the MTRRs cut memory into more pieces than expected: raise spare_tables",
    };
    auto failure = stages::unexpected(why);
    failure.error().number = static_cast<std::uint32_t>(error);
    return failure;
}

/// All that is the VMM's, but for its code: that lies in the driver's image, with the guest's.
std::array<arch::MappedRange, 3> hidden_ranges(const Setting& setting, const StageMemory& memory) {
    const auto vmm = setting.memory.own_ranges();
    return {memory.vmm_range(), vmm[0], vmm[1]};
}

void prepare_guest(const StageMemory& memory, const arch::MtrrSnapshot& mtrrs,
                   const platform::WritableAlias& target) {
    identity_stage::GuestData& guest = memory.guest();
    guest.clock = platform::clock_ticks();
    guest.target = identity_stage::target;
    guest.target_page = std::bit_cast<const volatile std::uint64_t*>(&identity_stage::target);
    guest.target_alias = static_cast<volatile std::uint64_t*>(target.start());
    guest.self_reader = std::bit_cast<std::uint64_t (*)()>(
        std::bit_cast<std::uint64_t>(&identity_stage::target) + identity_stage::self_reader_offset);
    guest.watched = reinterpret_cast<volatile std::uint64_t*>(memory.watched());
    const arch::MappedRange stage = memory.vmm_range();
    guest.hidden = reinterpret_cast<const volatile std::uint64_t*>(stage.linear.raw());
    guest.hidden_words = sizeof(identity_stage::VmmPages) / sizeof(std::uint64_t);

    // 64 KBytes, write-combining.
    constexpr std::uint64_t kb_64 = 1ULL << 16;
    constexpr std::uint64_t valid = 1U << 11;
    constexpr std::uint32_t first_variable = 0x200;
    guest.mtrr =
        first_variable + 2 * (static_cast<std::uint32_t>(mtrrs.capabilities.variable_count) - 1);
    guest.mtrr_base =
        identity_stage::mtrr_range | std::to_underlying(arch::MemoryType::write_combining);
    guest.mtrr_mask = ((1ULL << arch::mtrr_address_bits()) - kb_64) | valid;
}

}  // namespace
