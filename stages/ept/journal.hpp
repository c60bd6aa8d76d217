// What a run of this stage notes, and tells afterwards.
#pragma once

#include <cstdint>

#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "platform/windows/trace.hpp"
#include "stages/ept/memory.hpp"

namespace hvp::ept_stage {

/// When the driver did what with one guest, as time-stamp counter values.
struct Times {
    std::uint64_t vmxon_at{};
    std::uint64_t vm_entry_at{};
    std::uint64_t left_at{};
};

/// What this processor's VT-x and EPT are like.
void tell_support(const windows::TraceProvider& provider, const vmx::VmxBasic& basic,
                  const ept::Limits& limits, std::uint64_t at);

/// The pages that the guest needs, one by one.
void tell_needed(const windows::TraceProvider& provider, const Memory& memory);

/// That a guest begins, and with what: `name` is a part of a sentence.
void tell_guest(const windows::TraceProvider& provider, const char* name, const Memory& memory);

/// What happened with it, in the order in which it happened; empties the ring.
///
/// Where    PASSIVE_LEVEL, outside VMX operation, the guest's EPT still there
void tell_run(const windows::TraceProvider& provider, const Times& times, const Memory& memory,
              vmx::VirtualProcessor& processor);

/// What came of the three guests; each is true where it went as it had to.
struct Proof {
    bool touched_as_predicted{};
    bool views_seen{};
    bool stopped_outside{};

    [[nodiscard]] bool is_perfect() const {
        return touched_as_predicted && views_seen && stopped_outside;
    }
};

/// The first guest: as many violations as predicted, in the predicted order?
[[nodiscard]] bool prove_touched(const windows::TraceProvider& provider, const Memory& memory,
                                 const vmx::GuestStop& guest_stop);
/// The second: did it see what the VMM showed?
[[nodiscard]] bool prove_views(const windows::TraceProvider& provider, const Memory& memory,
                               const vmx::GuestStop& guest_stop);
/// The third: was it stopped, at the page that it must not read?
[[nodiscard]] bool prove_stopped(const windows::TraceProvider& provider, const Memory& memory,
                                 const vmx::GuestStop& guest_stop);

}  // namespace hvp::ept_stage
