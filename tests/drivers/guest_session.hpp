// A guest on the VMM of hypervisor/, for drivers that test it: the life that stages/guest-state
// shows step by step, as one call.
#pragma once

#include <expected>
#include <optional>
#include <span>

#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/exits/single_step.hpp"
#include "hypervisor/vcpu/entry.hpp"
#include "hypervisor/vcpu/ept_setup.hpp"
#include "hypervisor/vcpu/interrupt_setup.hpp"
#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmcs/current_vmcs.hpp"
#include "hypervisor/vmx/capabilities.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "hypervisor/vmx/vmx_operation.hpp"
#include "platform/windows/irql.hpp"
#include "platform/windows/nt.hpp"
#include "platform/windows/vmm_memory.hpp"

namespace hvp::tests {

/// Prints one event, `Name key=value …`, which the lab reads.
///
/// Where    outside VMX operation: DbgPrintEx takes locks and sends IPIs
/// Source   [Windows: DbgPrintEx]
template <typename... Values>
void print_event(const char* format, Values... values) {
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, format, values...);
}

/// Why there was no guest.
inline void print_failure(const vmx::Failure& failure) {
    const vmx::Explanation& why = *failure.why;
    print_event("Failure step=\"%s\" number=0x%x rule=\"SDM %s %s %s\" remedy=\"%s\"\n", why.step,
                failure.number, why.rule.volume, why.rule.section, why.rule.title, why.remedy);
}

/// A virtual processor that is ready, and its memory.
class GuestSession {
public:
    [[nodiscard]] static std::expected<GuestSession, vmx::Failure> prepare(
        const DRIVER_OBJECT& driver, std::span<const arch::MappedRange> also = {}) {
        const auto capabilities = vmx::probe_vmx();
        if (!capabilities) {
            return std::unexpected{capabilities.error()};
        }
        auto memory = windows::VmmMemory::take(windows::AtPassiveLevel::in_driver_entry(),
                                               *capabilities, driver, vmx::untraced_exits(), also);
        if (!memory) {
            return std::unexpected{memory.error()};
        }
        return GuestSession{*capabilities, std::move(*memory)};
    }

    /// The exits of the guests to come go this way.
    void use_exit_path(const vmx::ExitPath& path) { vmx::set_exit_path(vmm(), path); }

    /// Another HOST_RIP than the VMM's own: code that finds the VmmFrame at RSP.
    void let_exits_go_to(void (*code)()) { exit_ = code; }

    [[nodiscard]] vmx::ProcessorMemory& vmm() const { return memory_.processor(); }

    /// The guests to come have this EPT.
    void use_ept(ept::Pointer pointer) { ept_ = pointer; }

    /// The guests to come may leave paging and protection, where the processor can do that.
    void let_guest_be_unrestricted() { unrestricted_ = true; }

    /// The guests to come run on this stack.
    void use_stack(std::byte* end) { stack_end_ = end; }

    /// The guests to come can be single-stepped, and have a VPID. Before the first entry, in VMX
    /// root operation, `forget` makes the processor forget older EPTs.
    void use_views(const ept::Capability& capability, bool (*forget)(void*), void* context) {
        capability_ = capability;
        forget_ = forget;
        context_ = context;
    }
    [[nodiscard]] std::expected<arch::PhysicalWindow, vmx::Failure> open_window() {
        return memory_.open_window();
    }
    [[nodiscard]] std::array<arch::MappedRange, 2> own_ranges() const {
        return memory_.own_ranges();
    }

    /// In the guests to come these exceptions exit, by vector.
    void intercept_exceptions(std::uint32_t bitmap) { exceptions_ = bitmap; }

    /// In the guests to come external interrupts exit, and HLT sleeps.
    void intercept_interrupts() { interrupts_exit_ = true; }

    /// Runs the guest on this processor until its VMM leaves it.
    ///
    /// Where    the thread pinned
    [[nodiscard]] std::expected<vmx::GuestStop, vmx::Failure> run(void (*code)(void*),
                                                                  void* argument) {
        const vmx::GuestStart guest{.code = code, .argument = argument, .stack_end = stack_end_};
        const arch::ProcessorState windows = arch::ProcessorState::capture();
        const arch::InterruptsOff interrupts_off;
        const vmx::HostStateGuard tables_left{vmm(), windows};
        arch::write_cr0(arch::read_cr0() | capabilities_.cr0_ones);
        arch::write_cr4(arch::read_cr4() | capabilities_.cr4_ones);
        const auto operation = vmx::VmxOperation::enter(memory_.region().physical_of(&vmm().vmxon));
        if (!operation) {
            return std::unexpected{operation.error()};
        }
        if (capability_) {
            const auto vmcs = vmx::LoadedVmcs::load(memory_.region().physical_of(&vmm().vmcs));
            const auto chosen =
                vmx::choose_step(memory_.region(), windows, stack_end_, memory_.cr3());
            if (!vmcs || !chosen) {
                return std::unexpected{chosen ? vmcs.error() : chosen.error()};
            }
        }
        const auto vmcs = vmx::LoadedVmcs::load(memory_.region().physical_of(&vmm().vmcs));
        if (!vmcs) {
            return std::unexpected{vmcs.error()};
        }
        if (const auto written = vmx::write_vmcs(memory_.region(), windows, guest, memory_.cr3());
            !written) {
            return std::unexpected{written.error()};
        }
        if (ept_) {
            if (const auto enabled = vmx::enable_ept(*ept_); !enabled) {
                return std::unexpected{enabled.error()};
            }
        }
        if (unrestricted_) {
            const auto enabled = vmx::enable_unrestricted_guest(vmm().processor);
            if (!enabled) {
                return std::unexpected{enabled.error()};
            }
        }
        if (capability_) {
            const auto vpid = vmx::enable_vpid(vmm().processor, *capability_, 1);
            if (!vpid || !forget_(context_)) {
                return vmx::GuestStop{};
            }
        }
        if (interrupts_exit_) {
            if (const auto enabled = vmx::enable_interrupt_exiting(); !enabled) {
                return std::unexpected{enabled.error()};
            }
        }
        vmx::CurrentVmcs{}.write(vmx::exception_bitmap, exceptions_);
        vmx::CurrentVmcs{}.write(vmx::host_rip,
                                 arch::HostLinearAddress{reinterpret_cast<std::uint64_t>(exit_)});
        vmx::run(memory_.region());
        return vmm().processor.guest_stop;
    }

private:
    GuestSession(const vmx::VmxCapabilities& capabilities, windows::VmmMemory memory)
        : capabilities_{capabilities},
          memory_{std::move(memory)},
          stack_end_{memory_.guest_stack_end()} {}

    vmx::VmxCapabilities capabilities_;
    windows::VmmMemory memory_;
    std::byte* stack_end_;
    std::optional<ept::Pointer> ept_;
    bool unrestricted_{};
    std::optional<ept::Capability> capability_;
    bool (*forget_)(void*){};
    void* context_{};
    std::uint32_t exceptions_{};
    bool interrupts_exit_{};
    void (*exit_)() = vmx::hvp_exit_to_vmm;
};

}  // namespace hvp::tests
