// A guest on the VMM of hypervisor/, for drivers that test it: a Session that owns its memory, and
// how these drivers report.
#pragma once

#include <expected>
#include <span>
#include <utility>

#include "hypervisor/exits/dispatch.hpp"
#include "hypervisor/vcpu/session.hpp"
#include "hypervisor/vmx/capabilities.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "platform/host.hpp"
#include "platform/vmm_memory.hpp"
#include "platform/windows/nt.hpp"

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

/// A Session with its memory.
class TestSession : public vmx::Session {
public:
    /// Where    DriverEntry
    [[nodiscard]] static std::expected<TestSession, vmx::Failure> prepare(
        const DRIVER_OBJECT& driver, std::span<const arch::MappedRange> also = {}) {
        const auto capabilities = vmx::probe_vmx();
        if (!capabilities) {
            return std::unexpected{capabilities.error()};
        }
        auto memory = platform::VmmMemory::take(platform::AtPassiveLevel::in_driver_entry(),
                                                *capabilities, platform::DriverImage{driver}, also);
        if (!memory) {
            return std::unexpected{memory.error()};
        }
        return TestSession{*capabilities, std::move(*memory)};
    }

    [[nodiscard]] platform::VmmMemory& memory() { return memory_; }

private:
    TestSession(const vmx::VmxCapabilities& capabilities, platform::VmmMemory memory)
        : Session{memory.session_memory(), capabilities, vmx::untraced_exits()},
          memory_{std::move(memory)} {}

    platform::VmmMemory memory_;
};

}  // namespace hvp::tests
