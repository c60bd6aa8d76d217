// A virtual processor: everything that the VMM has for one logical processor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "hypervisor/arch/address_space.hpp"
#include "hypervisor/arch/local_apic.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/ept/pointer.hpp"
#include "hypervisor/ept/violation.hpp"
#include "hypervisor/trace/ring.hpp"
#include "hypervisor/vcpu/entry.hpp"
#include "hypervisor/vcpu/exit_path.hpp"
#include "hypervisor/vcpu/guest_registers.hpp"
#include "hypervisor/vcpu/host_environment.hpp"
#include "hypervisor/vcpu/setup/guest_counters.hpp"
#include "hypervisor/vmcs/dump.hpp"
#include "hypervisor/vmcs/exit_reason.hpp"
#include "hypervisor/vmcs/fields.hpp"
#include "hypervisor/vmx/capabilities.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

/// What lies at HOST_RSP while the guest runs, as if the function that handles the exit had been
/// called: a return address, of 0, where a debugger's walk of the stack ends; home space for the
/// function; and what is ours. entry.S knows the offsets.
struct VmmFrame {
    std::uint64_t end_of_stack{};
    std::array<std::uint64_t, 4> home_space{};
    GuestRegisters registers;
    std::uint64_t launch_rsp{};
    std::uint64_t launch_cr3{};
    ExitFunction* on_exit{};                ///< handles an exit
    ExitFunction* on_failed_entry{};        ///< VMLAUNCH or VMRESUME failed
    ExitFunction* resume{hvp_enter_guest};  ///< after an NMI: hvp_enter_guest_after_nmi
    ExitFunction* leave{hvp_leave_vmm};     ///< or the departure: see departure.hpp
    EntryInstruction refused_by{};          ///< the one that failed
    VirtualProcessor* owner{};
    void* state{};  ///< the handlers' own: see ExitPath
    std::uint64_t unused{};
};
static_assert(offsetof(VmmFrame, registers) == 40, "entry.S");
static_assert(offsetof(VmmFrame, launch_rsp) == 40 + 8 * 16, "entry.S");
static_assert(offsetof(VmmFrame, launch_cr3) == 48 + 8 * 16, "entry.S");
static_assert(offsetof(VmmFrame, on_exit) == 56 + 8 * 16, "entry.S");
static_assert(offsetof(VmmFrame, on_failed_entry) == 64 + 8 * 16, "entry.S");
static_assert(offsetof(VmmFrame, resume) == 72 + 8 * 16, "entry.S");
static_assert(offsetof(VmmFrame, leave) == 80 + 8 * 16, "entry.S");
static_assert(offsetof(VmmFrame, refused_by) == 88 + 8 * 16, "entry.S");
static_assert(sizeof(VmmFrame) % 16 == 8, "RSP at the start of a function");

/// Why the VMM left the guest for good.
enum class StopReason : std::uint8_t {
    none,
    stopped_by_guest,   ///< it asked to
    unhandled_exit,     ///< a reason that no handler knows
    unhandled_detail,   ///< a known reason, in a form that its handler does not know
    triple_fault,       ///< the guest could not deliver an exception
    entry_refused,      ///< VMLAUNCH or VMRESUME said VMfail
    entry_failed,       ///< VM entry was given up because of the guest state or an MSR
    exception_in_vmm,   ///< our own mistake; see `HostTrapReport`
    outside_memory,     ///< an EPT violation that the stage does not answer: see `memory`
    ept_misconfigured,  ///< an EPT entry that the processor refuses
    event_refused,      ///< an event that VM entry would not deliver
};

/// What an exception in VMX root operation looked like.
struct HostTrapReport {
    std::uint64_t vector{};
    std::uint64_t error_code{};
    std::uint64_t rip{};
    std::uint64_t rsp{};
    std::uint64_t cr2{};
};

/// How it ended.
struct GuestStop {
    StopReason why{};
    EntryInstruction refused_by{};                     ///< what failed, where the entry was refused
    arch::VmxResult result{arch::VmxResult::succeed};  ///< of a refused entry
    std::uint32_t error_number{};                      ///< the VM-instruction error of it
    ExitReasonField reason{};                          ///< of the last exit
    std::uint64_t qualification{};
    std::uint64_t guest_rip{};
    HostTrapReport trap{};
    ept::GuestMemoryEvent memory{};           ///< of an EPT violation or misconfiguration
    InterruptionInformation refused_event{};  ///< the one that VM entry would not deliver
};

/// What makes an exit after one instruction.
enum class StepBy : std::uint8_t { trap_flag, monitor_trap_flag };

/// A step of one instruction, and the guest's state that its end restores; see single_step.hpp.
struct SingleStep {
    StepBy by{};
    ExitFunction* on_exit{};          ///< where exits go when it is over
    ExitFunction* on_exit_of_step{};  ///< where they go until then
    bool blocks_interrupts{};         ///< by STI, for the monitor trap flag
    arch::Flags<arch::Rflags> rflags{};
    arch::Flags<Interruptibility> interruptibility{};
    arch::Flags<PendingDebug> pending{};
    arch::Flags<arch::DebugControl> debugctl{};
    std::uint32_t exception_bitmap{};
};

/// One logical processor's part of the VMM. It lies in ProcessorMemory; whoever launches keeps the
/// memory until VMXOFF.
struct VirtualProcessor {
    VmmFrame* frame{};
    trace::Ring* ring{};
    bool running{};        ///< between the first VM entry and the way out
    bool own_tables{};     ///< GDTR, IDTR and TR are the VMM's: there was a VM exit
    bool machine_check{};  ///< one is pending, for the guest or the host system
    bool departed{};       ///< the guest goes on without the VMM: see departure.hpp
    HostTables* tables{};
    arch::LocalApic local_apic;  ///< gets what is pending when the guest ends

    arch::Flags<arch::Cr0> cr0_ones{};  ///< what VMX operation fixes
    arch::Flags<arch::Cr4> cr4_ones{};
    /// The guest may switch protection and paging off.  [SDM 3C 25.6 "Unrestricted Guests"]
    bool unrestricted{};
    std::uint32_t physical_address_bits{};
    bool any_error_code{};  ///< see VmxBasic
    /// The tag of this guest's translations; 0: none, and every entry and exit invalidates them
    /// all.
    /// [SDM 3C 28.1 "Virtual Processor Identifiers (VPIDs)"]
    std::uint16_t vpid{};
    bool invvpid_retains_globals{};
    bool write_log{};  ///< the guest has a page-modification log

    /// NMIs that arrived while the VMM ran, and that the guest has yet to see. The NMI handler
    /// adds, whenever it likes; deliver_pending takes, and after the guest its `run`.
    std::uint32_t pending_nmis{};
    /// The vector of an external interrupt that is pending for the guest. If it is still here when
    /// the guest has ended, the host system must get it; see exits/external_interrupts.hpp.
    std::optional<std::uint8_t> interrupt{};

    PerExitReason<std::uint64_t> exits{};  ///< how many there were
    GuestStop guest_stop{};
    GuestCounters counters{};
    SingleStep step{};
    VmcsDump failed_fields{};  ///< the VMCS of a VM entry that was refused or failed

    /// What this guest cannot clear in CR0, and what its mask has.
    [[nodiscard]] arch::Flags<arch::Cr0> fixed_cr0() const {
        using arch::Cr0;
        return unrestricted ? cr0_ones.without(Cr0::protection_enable | Cr0::paging) : cr0_ones;
    }
};
static_assert(sizeof(VirtualProcessor) <= arch::page_bytes);

/// The memory of one virtual processor: pages in a row, linear and physical, zeroed.
struct ProcessorMemory {
    arch::Page vmxon;
    arch::Page vmcs;
    arch::Page msr_bitmap;
    HostTables tables;
    HostStacks stacks;
    alignas(arch::page_bytes) VirtualProcessor processor;
    alignas(arch::page_bytes) trace::Ring ring;

    /// Where the VMM's stack begins, with the frame on it.
    [[nodiscard]] VmmFrame* frame() { return reinterpret_cast<VmmFrame*>(&stacks.main + 1) - 1; }
};
static_assert(sizeof(ProcessorMemory) % arch::page_bytes == 0);
inline constexpr std::size_t processor_memory_pages = sizeof(ProcessorMemory) / arch::page_bytes;

/// A ProcessorMemory with its physical address.
struct ProcessorRegion {
    ProcessorMemory* memory;
    arch::HostPhysicalAddress physical;

    [[nodiscard]] arch::HostPhysicalAddress physical_of(const void* object) const {
        return physical +
               (reinterpret_cast<std::uint64_t>(object) - reinterpret_cast<std::uint64_t>(memory));
    }
};

/// Constructs what lies in the memory, writes the revision identifiers, and sets the exit path.
///
/// Where    before VMXON
void prepare(const ProcessorRegion& region, const VmxCapabilities& capabilities,
             const ExitPath& path);

/// The exits of this processor's guests go this way from now on.
///
/// Where    no guest runs on the processor
void set_exit_path(ProcessorMemory& memory, const ExitPath& path);

/// Maps what the VMM uses of it while a guest runs; the holes stay holes.
[[nodiscard]] std::expected<void, arch::MapError> map(arch::AddressSpace& space,
                                                      const ProcessorRegion& region);

/// What a stage decides about its guest.
struct GuestStart {
    void (*code)(void* argument);  ///< must not return
    void* argument;
    std::byte* stack_end;
};

/// Writes every field of the current VMCS: the guest as a clone of the caller but for RIP, RSP and
/// RFLAGS; the host as HostTables and `host_cr3` say; exits as the exit path expects them.
///
/// Where    VMX root operation, the VMCS current and clear
[[nodiscard]] std::expected<void, Failure> write_vmcs(const ProcessorRegion& region,
                                                      const arch::ProcessorState& host_system,
                                                      const GuestStart& guest,
                                                      std::uint64_t host_cr3);

/// Restores on destruction what a guest's run has changed for the host system: its tables, and what
/// a VM exit has changed; CR0 and CR4; XCR0 and IA32_XSS, which neither an exit nor an entry
/// switches. Lives around VMX operation. A VM exit switches to the VMM's
/// tables, so where none has happened only CR0 and CR4 are restored. Interrupts, NMIs and
/// machine checks that came too late for the guest are the host system's then. After a departure
/// there is nothing to restore.
class HostStateGuard {
public:
    HostStateGuard(ProcessorMemory& memory, const arch::ProcessorState& host_system);
    HostStateGuard(const HostStateGuard&) = delete;
    HostStateGuard& operator=(const HostStateGuard&) = delete;
    ~HostStateGuard();

private:
    ProcessorMemory& memory_;
    const arch::ProcessorState& host_system_;
    std::uint64_t xcr0_{};
    std::uint64_t xss_{};
};

/// Runs the guest until the VMM leaves it; then on the caller's stack and page tables again, but
/// still with the VMM's GDT, IDT and TR: see `restore_after_own_tables`.
///
/// Where    as write_vmcs
void run(const ProcessorRegion& region);

}  // namespace hvp::vmx
