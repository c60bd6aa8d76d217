// The thirteen VMX instructions, and what tells whether there is VT-x, in each mode of a processor:
// is a guest's processor one outside VMX operation, or without VT-x?
//
// Each probe runs on the bare processor, in a guest, in a guest that has tried to set CR4.VMXE
// before, and in a guest whose exceptions all exit. What its handler finds must be the same. A
// processor without VT-x has the bare part only; the test compares it with the guests of others.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "hypervisor/exits/cpuid.hpp"
#include "hypervisor/exits/hypercall.hpp"
#include "hypervisor/vcpu/setup/ept_setup.hpp"
#include "hypervisor/vmcs/event_information.hpp"
#include "platform/host.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/status.hpp"
#include "tests/drivers/identity_ept.hpp"
#include "tests/drivers/low_modes.hpp"
#include "tests/drivers/mode_probes.hpp"
#include "tests/drivers/snippet_runner.hpp"
#include "tests/drivers/test_session.hpp"

extern "C" NTKERNELAPI PVOID NTAPI MmGetVirtualForPhysical(PHYSICAL_ADDRESS PhysicalAddress);

namespace {

using namespace hvp;
using namespace hvp::tests;

// ---- One probe ----------------------------------------------------------------------------------

/// What the handler found, whatever the mode pushes.
struct Outcome {
    std::uint64_t vector{};
    std::uint64_t error_code{};
    bool has_error_code{};
    std::uint64_t bytes{};  ///< that were pushed
    std::uint64_t rip{}, cs{}, rflags{}, rsp{}, ss{};
    std::uint64_t segments{};  ///< ES, DS, FS, GS, as virtual-8086 mode pushes them
    bool at_instruction{};

    friend bool operator==(const Outcome&, const Outcome&) = default;
};

struct Machine {
    arch::ProcessorState windows;
    const LowModes* low;
    const vmx::PerExitReason<std::uint64_t>* exits;  ///< null: no guest
};

Outcome run_in_long_mode(Mode mode, const Probe& probe, std::uint64_t rax) {
    Snippet snippet{};
    snippet.rflags = always_one | probe.flags;
    snippet.rax = rax;
    snippet.missing_gate = -1;
    if (probe.ecx != 0) {
        put(snippet, {0xB9, static_cast<std::uint8_t>(probe.ecx),
                      static_cast<std::uint8_t>(probe.ecx >> 8), 0, 0});  // mov ecx, …
    }
    snippet.event_at = snippet.bytes;
    put(snippet, std::span{probe.code}.first(probe.bytes));
    snippet.mode = mode;
    static constinit Log log{};
    run_one(snippet, log);
    const Pushed& pushed = log.records[0].pushed;
    constexpr std::uint64_t frame_bytes = 40;
    const bool has_error_code = pushes_error_code(static_cast<vmx::Vector>(pushed.vector));
    return {.vector = pushed.vector,
            .error_code = pushed.error_code,
            .has_error_code = has_error_code,
            .bytes = has_error_code ? frame_bytes + 8 : frame_bytes,
            .rip = pushed.rip,
            .cs = pushed.cs,
            .rflags = pushed.rflags,
            .rsp = pushed.rsp,
            .ss = pushed.ss,
            .at_instruction = pushed.rip == code_of(snippet) + snippet.event_at};
}

Outcome run_in_low_mode(const Machine& machine, LowMode mode, const Probe& probe,
                        std::uint64_t eax) {
    const LowFound found =
        machine.low->run(mode,
                         {.code = {probe.code.data(), probe.bytes},
                          .at_end_of_segment = probe.at_end_of_segment,
                          .flags = static_cast<std::uint32_t>(always_one | probe.flags),
                          .eax = static_cast<std::uint32_t>(eax),
                          .ecx = probe.ecx},
                         machine.windows);
    Outcome outcome{.vector = found.vector,
                    .error_code = found.error_code,
                    .has_error_code = found.has_error_code,
                    .bytes = found.bytes,
                    .rip = found.ip,
                    .cs = found.cs,
                    .rflags = found.flags,
                    .rsp = found.sp,
                    .ss = found.ss,
                    .at_instruction = found.ip == 0};
    for (const std::uint32_t segment : found.data) {
        outcome.segments = outcome.segments << 16 | segment;
    }
    return outcome;
}

/// What is on its way to real mode must not be on there.
/// [SDM 3A 4.10.1 "Process-Context Identifiers (PCIDs)"]
constexpr auto cr4_of_long_mode_only =
    arch::Cr4::process_context_identifiers | arch::Cr4::virtual_8086_extensions;

Outcome run(const Machine& machine, const Place& place, const Probe& probe) {
    const auto cr4 = arch::read_cr4();
    const auto low_cr4 = cr4.without(cr4_of_long_mode_only);
    const std::uint64_t with_vmxe = (low_cr4 | arch::Cr4::vmx_enable).raw();
    const std::uint64_t rax = probe.sets_vmxe ? with_vmxe : 0;
    if (place.long_mode) {
        return run_in_long_mode(*place.long_mode, probe, rax);
    }
    arch::write_cr4(low_cr4);
    const Outcome outcome = run_in_low_mode(machine, place.low_mode, probe, rax);
    static_cast<void>(load_tables(machine.windows));
    machine.windows.restore_selectors();
    arch::write_cr4(cr4);
    return outcome;
}

// ---- All of them --------------------------------------------------------------------------------

/// What became of one probe in one place.
struct Cell {
    Outcome bare, guest, after_vmxe, intercepted;
    bool has_bare, has_guest;
    std::uint64_t exit;  ///< by which the guest's came to the VMM; 0: none did
};
using Cells = std::array<std::array<Cell, probe_count>, places.size()>;
constinit Cells cells{};

bool exists(const Place& place, const Probe& probe) {
    return !place.long_mode || probe.about != About::mode;
}

template <typename Do>
void for_each(bool with_low_modes, Do do_it) {
    for (std::size_t i = 0; i < places.size(); ++i) {
        for (std::size_t k = 0; k < probe_count; ++k) {
            if (exists(places[i], probes[k]) && (places[i].long_mode || with_low_modes)) {
                do_it(places[i], probes[k], cells[i][k]);
            }
        }
    }
}

void run_bare(const Machine& machine, bool has_vmx) {
    const arch::InterruptsOff interrupts_off;
    if (!load_tables(machine.windows)) {
        return;
    }
    for_each(true, [&](const Place& place, const Probe& probe, Cell& cell) {
        if (!has_vmx || probe.about != About::hidden) {
            cell.bare = run(machine, place, probe);
            cell.has_bare = true;
        }
    });
    leave_tables(machine.windows);
}

/// The guest's view of a probe, and which exit it made. The way to real mode and back writes
/// IA32_EFER, and exits for that.
void run_and_count(const Machine& machine, const Place& place, const Probe& probe, Cell& cell) {
    using enum vmx::ExitReason;
    const auto before = *machine.exits;
    cell.guest = run(machine, place, probe);
    for (std::uint16_t number = 1; number < before.size(); ++number) {
        const vmx::ExitReason reason{number};
        const std::uint64_t count = (*machine.exits)[reason] - before[reason];
        const bool on_the_way =
            !place.long_mode && (reason == wrmsr || reason == control_register_access);
        const std::uint64_t usual = !on_the_way ? 0 : reason == wrmsr ? 2 : 1;
        if (count > usual) {
            cell.exit = number;
        }
    }
    cell.has_guest = true;
}

struct Pass {
    Machine machine;
    const vmx::VirtualProcessor* processor;
    bool intercepts;
    std::uint32_t cpuid_1_ecx;  ///< as the guest has it
};

[[noreturn]] void run_in_guest(void* argument) {
    Pass& pass = *static_cast<Pass*>(argument);
    pass.cpuid_1_ecx = arch::cpuid(1).ecx;
    if (load_tables(pass.machine.windows)) {
        for_each(pass.processor->unrestricted,
                 [&](const Place& place, const Probe& probe, Cell& cell) {
                     if (pass.intercepts) {
                         cell.intercepted = run(pass.machine, place, probe);
                         return;
                     }
                     run_and_count(pass.machine, place, probe, cell);
                     static_cast<void>(run(pass.machine, place, set_vmxe));
                     cell.after_vmxe = run(pass.machine, place, probe);
                 });
    }
    static_cast<void>(vmx::hypercall(vmx::Hypercall::stop, 0));
    for (;;) {
        arch::hlt();
    }
}

bool run_guest(TestSession& session, Pass pass, std::uint32_t exceptions) {
    session.options.exceptions = exceptions;
    const auto guest_stop = session.run(run_in_guest, &pass);
    if (!guest_stop) {
        print_failure(guest_stop.error());
        return false;
    }
    print_event(
        "ModesGuest intercepts=%u unrestricted=%u end=%u exception_exits=%llu "
        "cpuid_1_ecx=0x%x refused=0x%x\n",
        exceptions != 0 ? 1U : 0U, session.vmm().processor.unrestricted ? 1U : 0U,
        static_cast<unsigned>(guest_stop->why),
        session.vmm().processor.exits[vmx::ExitReason::exception_or_nmi], pass.cpuid_1_ecx,
        std::bit_cast<std::uint32_t>(guest_stop->refused_event));
    return guest_stop->why == vmx::StopReason::stopped_by_guest;
}

bool run_guests(const DRIVER_OBJECT& driver, Machine machine) {
    auto session = TestSession::prepare(driver);
    if (!session) {
        print_failure(session.error());
        return false;
    }
    IdentityEpt identity;
    const auto limits = vmx::check_ept_support();
    if (limits) {
        if (!identity.build(*limits)) {
            return false;
        }
        session->options.epts = {identity.pointer()};
        session->options.features = {vmx::unrestricted_guest()};
    }
    machine.exits = &session->vmm().processor.exits;
    const Pass pass{.machine = machine,
                    .processor = &session->vmm().processor,
                    .intercepts = false,
                    .cpuid_1_ecx = 0};
    Pass last = pass;
    last.intercepts = true;
    return run_guest(*session, pass, 0) && run_guest(*session, last, ~0U);
}

// ---- What came of it ----------------------------------------------------------------------------

void print_outcome(const char* where, const Place& place, const Probe& probe,
                   const Outcome& found) {
    print_event(
        "ModesFound where=\"%s\" mode=\"%s\" probe=\"%s\" vector=%llu bytes=%llu "
        "error_code=0x%llx rip=0x%llx cs=0x%llx rflags=0x%llx rsp=0x%llx ss=0x%llx\n",
        where, place.name, probe.name.data(), found.vector, found.bytes, found.error_code,
        found.rip, found.cs, found.rflags, found.rsp, found.ss);
}

/// One line for each cell, and whatever is different. The processor itself is the measure where
/// there is one; the test has another one for what is hidden.
bool tell(bool has_vmx) {
    bool good = true;
    for_each(true, [&](const Place& place, const Probe& probe, const Cell& cell) {
        const Outcome& measure = cell.has_bare ? cell.bare : cell.guest;
        const bool same = !cell.has_guest || (cell.guest == measure && cell.after_vmxe == measure &&
                                              cell.intercepted == measure);
        constexpr std::array<const char*, 3> names{"instruction", "hidden", "mode"};
        if (!has_vmx || cell.has_guest || cell.has_bare) {
            print_event(
                "ModesCell about=\"%s\" mode=\"%s\" probe=\"%s\" guest=%u same=%u exit=%llu "
                "after_vmxe=%u vector=%llu has_error_code=%u error_code=0x%llx pushed=%llu "
                "at_instruction=%u "
                "rf=%u\n",
                names[static_cast<std::size_t>(probe.about)], place.name, probe.name.data(),
                cell.has_guest ? 1U : 0U, same ? 1U : 0U, cell.exit,
                cell.after_vmxe == measure ? 1U : 0U, measure.vector,
                measure.has_error_code ? 1U : 0U, measure.error_code, measure.bytes,
                measure.at_instruction ? 1U : 0U, (measure.rflags & resume_flag) != 0 ? 1U : 0U);
        }
        if (!same) {
            good = false;
            print_outcome("bare", place, probe, cell.bare);
            print_outcome("guest", place, probe, cell.guest);
            print_outcome("after VMXE", place, probe, cell.after_vmxe);
            print_outcome("intercepted", place, probe, cell.intercepted);
        }
    });
    return good;
}

void on_unload(PDRIVER_OBJECT) {}

constexpr ULONG tag = 'edoM';

NTSTATUS run_all(const DRIVER_OBJECT& driver, std::uint8_t* code, const LowModes& low) {
    const bool has_vmx = (arch::cpuid(1).ecx & arch::cpuid_1_ecx_vmx) != 0;
    const DebugRegistersKept debug_registers;
    const PHYSICAL_ADDRESS top{
        .QuadPart = static_cast<LONGLONG>(arch::read_cr3() & ~(arch::page_bytes - 1))};
    prepare_runner(code, static_cast<const std::uint64_t*>(MmGetVirtualForPhysical(top)));
    const Machine machine{
        .windows = arch::ProcessorState::capture(), .low = &low, .exits = nullptr};
    run_bare(machine, has_vmx);
    const bool ran = !has_vmx || run_guests(driver, machine);
    return tell(has_vmx) && ran ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    const platform::PinnedToProcessor pinned;
    const auto low = LowModes::take();
    auto* const code =
        static_cast<std::uint8_t*>(ExAllocatePoolWithTag(NonPagedPoolExecute, PAGE_SIZE, tag));
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    if (low && code != nullptr) {
        status = run_all(*driver, code, *low);
    }
    if (code != nullptr) {
        ExFreePoolWithTag(code, tag);
    }
    return status;
}
