// ept: a guest that has only the memory that it is given, while the VMM changes what that is.
//
// With extended page tables (EPT) what the guest takes for a physical address is translated once
// more, by tables of the VMM. Three guests show what that means: see guests.hpp.
//
// The code below is in the order in which it runs. The life of a guest, which guest-state shows
// step by step, is one call from here on: Session::run. hypervisor/ept has the tables.
#include <cstddef>
#include <expected>
#include <optional>

#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/vcpu/session.hpp"
#include "hypervisor/vcpu/setup/ept_setup.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmx/capabilities.hpp"
#include "platform/host.hpp"
#include "platform/vmm_memory.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "stages/ept/guests.hpp"
#include "stages/ept/memory.hpp"
#include "stages/shared/result.hpp"
#include "stages/shared/setting.hpp"

namespace {

using namespace hvp;
using stages::Setting;

template <typename T>
using Expected = std::expected<T, vmx::Failure>;

Expected<void> run_guests(const Setting& setting, ept_stage::Memory& memory);
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
        const Expected<ept::Limits> limits = vmx::check_ept_support();
        if (!limits) {
            return std::unexpected{limits.error()};
        }
        ept_stage::report_support(provider, capabilities->basic, *limits, arch::rdtsc());
        const auto stage = ept_stage::take_memory(passive, *limits);
        if (!stage) {
            return std::unexpected{stage.error()};
        }
        const arch::MappedRange for_the_vmm = stage->range();
        Expected<platform::VmmMemory> memory = platform::VmmMemory::take(
            passive, *capabilities, platform::DriverImage{*driver}, {&for_the_vmm, 1});
        if (!memory) {
            return std::unexpected{memory.error()};
        }
        const Setting setting{.provider = provider,
                              .capabilities = *capabilities,
                              .memory = *memory,
                              .processor = pinned.index()};
        return run_guests(setting, **stage);
    }();  // the memory is freed
    if (!outcome) {
        platform::trace_failure(provider, outcome.error());
        return windows::status_of(outcome.error().kind);
    }
    return STATUS_SUCCESS;
}

namespace {

Expected<void> run_guests(const Setting& setting, ept_stage::Memory& memory) {
    report_needed(setting.provider, memory);

    vmx::Session session{setting.memory.session_memory(), setting.capabilities,
                         vmx::traced_exits()};
    session.options.stack_end = (&memory.guest_stack + 1)->bytes.data();
    std::optional<std::size_t> first_wrong;
    for (std::size_t number = 0; number < ept_stage::guests.size(); ++number) {
        const ept_stage::Guest& guest = ept_stage::guests[number];
        // The EPT's users have numbers of their own; this guest's processor is the only one.
        constexpr std::uint32_t only_processor = 0;
        const auto created = create_views(memory, guest.initial_map, only_processor);
        if (!created) {
            return created;
        }
        report_guest(setting.provider, guest.starts_with, memory);
        session.options.epts = {memory.views->tables().pointer()};
        session.use_exit_path(ept_stage::exit_path(*memory.views));
        const auto guest_stop = session.run(guest.code, &memory.guest);
        if (!guest_stop) {
            return std::unexpected{guest_stop.error()};
        }
        report_run(setting.provider, session, memory);
        if (guest_stop->why == vmx::StopReason::entry_refused) {
            return stages::entry_refused(*guest_stop);
        }
        if (!guest.verify(setting.provider, memory, *guest_stop) && !first_wrong) {
            first_wrong = number;
        }
    }
    return ept_stage::result(first_wrong);
}

}  // namespace
