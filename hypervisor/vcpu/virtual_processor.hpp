// A virtual processor: everything that the VMM has for one logical processor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "hypervisor/arch/address_space.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/ept/pointer.hpp"
#include "hypervisor/ept/violation.hpp"
#include "hypervisor/trace/ring.hpp"
#include "hypervisor/vcpu/guest_registers.hpp"
#include "hypervisor/vcpu/host_environment.hpp"
#include "hypervisor/vmcs/dump.hpp"
#include "hypervisor/vmcs/exit_reason.hpp"
#include "hypervisor/vmcs/fields.hpp"
#include "hypervisor/vmx/capabilities.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::vmx {

/// What lies at HOST_RSP while the guest runs. entry.S knows the offsets.
struct VmmFrame {
    std::array<std::uint64_t, 4> home_space{};  ///< for the C++ function that entry.S calls
    GuestRegisters registers;
    std::uint64_t launch_rsp{};
    std::uint64_t launch_cr3{};
    /// Handles an exit; false: leave the guest.
    bool (*on_exit)(VmmFrame* frame){};
    /// VMLAUNCH or VMRESUME failed; the guest is left.
    void (*on_failed_entry)(VmmFrame* frame){};
    VirtualProcessor* owner{};
    std::uint64_t end_of_stack{};
};
static_assert(offsetof(VmmFrame, registers) == 32, "entry.S");
static_assert(offsetof(VmmFrame, launch_rsp) == 32 + 8 * 16, "entry.S");
static_assert(offsetof(VmmFrame, launch_cr3) == 40 + 8 * 16, "entry.S");
static_assert(offsetof(VmmFrame, on_exit) == 48 + 8 * 16, "entry.S");
static_assert(offsetof(VmmFrame, on_failed_entry) == 56 + 8 * 16, "entry.S");
static_assert(sizeof(VmmFrame) % 16 == 0);

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
    arch::VmxResult result{arch::VmxResult::succeed};  ///< of a refused entry
    std::uint32_t error_number{};                      ///< the VM-instruction error of it
    ExitReasonField reason{};                          ///< of the last exit
    std::uint64_t qualification{};
    std::uint64_t guest_rip{};
    HostTrapReport trap{};
    ept::GuestMemoryEvent memory{};           ///< of an EPT violation or misconfiguration
    InterruptionInformation refused_event{};  ///< the one that VM entry would not deliver
};

/// How a guest goes on after an EPT violation.
struct AfterViolation {
    bool goes_on{};  ///< and tries the access again; false: this was the guest's end
    /// This processor's guest has this EPT from now on. Another EPT pointer is another context:
    /// what the processor remembers of the EPT before is not used, and nothing need be forgotten.
    /// [SDM 3C 28.3.2 "Creating and Using Cached Translation Information"]
    std::optional<ept::Pointer> ept{};
    bool for_one_instruction{};  ///< and then `on_step` is asked
};

/// What a stage does at exits that only it can answer. Called in VMX root operation; a stage
/// without them has a guest that such an exit ends.
struct StageHooks {
    void* stage{};
    AfterViolation (*on_ept_violation)(void* stage, const ept::GuestMemoryEvent& event){};
    /// A step is over; `executed`: the instruction has been executed, else another exit came first.
    /// Returns the EPT to go on with.
    ept::Pointer (*on_step)(void* stage, bool executed){};
    /// The guest wants to write an MTRR. False: the value is one that the processor refuses.
    bool (*on_mtrr_write)(void* stage, std::uint32_t msr, std::uint64_t value){};
    /// The page-modification log is full.
    void (*on_log_full)(void* stage){};
    /// A hypercall that the VMM itself does not know. False: the stage does not, either.
    bool (*on_hypercall)(void* stage, std::uint64_t call, std::uint64_t argument,
                         std::uint64_t& value){};
    /// An NMI. True: it was another processor's VMM that wanted this one to look for work, and the
    /// guest is not to see it.
    bool (*on_nmi)(void* stage){};

    [[nodiscard]] bool takes_nmi() const { return on_nmi != nullptr && on_nmi(stage); }
};

/// What makes an exit after one instruction.
enum class StepBy : std::uint8_t { trap_flag, monitor_trap_flag };

/// A step of one instruction, and what of the guest's state waits for its end; see single_step.hpp.
struct SingleStep {
    StepBy by{};
    bool (*on_exit)(VmmFrame* frame){};  ///< where exits go when it is over
    bool blocks_interrupts{};            ///< by STI, for the monitor trap flag
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
    bool tracing{};
    bool running{};     ///< between the first VM entry and the way out
    bool own_tables{};  ///< GDTR, IDTR and TR are the VMM's: there was a VM exit

    arch::Flags<arch::Cr0> cr0_ones{};  ///< what VMX operation fixes
    arch::Flags<arch::Cr4> cr4_ones{};
    /// The guest may switch protection and paging off.  [SDM 3C 25.6 "Unrestricted Guests"]
    bool unrestricted{};
    std::uint32_t physical_address_bits{};
    /// The tag of this guest's translations; 0: none, and every entry and exit forgets them all.
    /// [SDM 3C 28.1 "Virtual Processor Identifiers (VPIDs)"]
    std::uint16_t vpid{};
    bool invvpid_retains_globals{};
    bool write_log{};  ///< the guest has a page-modification log

    /// NMIs that arrived while the VMM ran, and that the guest has yet to see. The NMI handler
    /// adds, whenever it likes; deliver_pending takes.
    std::uint32_t pending_nmis{};
    /// The vector of an external interrupt that the guest has yet to get. If it is still here when
    /// the guest has ended, it is owed to whoever goes on; see handle_interrupts.hpp.
    std::optional<std::uint8_t> interrupt{};

    PerExitReason<std::uint64_t> exits{};  ///< how many there were
    GuestStop guest_stop{};
    StageHooks hooks{};
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

/// Constructs what lies in the memory, and writes the revision identifiers.
///
/// Where    before VMXON
void prepare(const ProcessorRegion& region, const VmxCapabilities& capabilities);

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
/// RFLAGS; the host as HostTables and `host_cr3` say; exits as `exit_handlers` expects them.
///
/// Where    VMX root operation, the VMCS current and clear
[[nodiscard]] std::expected<void, Failure> write_vmcs(const ProcessorRegion& region,
                                                      const arch::ProcessorState& windows,
                                                      const GuestStart& guest,
                                                      std::uint64_t host_cr3);

/// What is owed to Windows when a guest has run: its tables, and what a VM exit has changed; CR0
/// and CR4. Lives around VMX operation, and pays at the end. A VM exit switches to the VMM's
/// tables, so where none has happened only CR0 and CR4 are put back.
class HostStateGuard {
public:
    HostStateGuard(const ProcessorMemory& memory, const arch::ProcessorState& windows)
        : memory_{memory}, windows_{windows} {}
    HostStateGuard(const HostStateGuard&) = delete;
    HostStateGuard& operator=(const HostStateGuard&) = delete;
    ~HostStateGuard();

private:
    const ProcessorMemory& memory_;
    const arch::ProcessorState& windows_;
};

/// Runs the guest until the VMM leaves it; then on the caller's stack and page tables again, but
/// still with the VMM's GDT, IDT and TR: see `restore_after_own_tables`.
///
/// Where    as write_vmcs
void run(const ProcessorRegion& region);

}  // namespace hvp::vmx
