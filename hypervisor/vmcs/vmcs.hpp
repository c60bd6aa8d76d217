// What the VMM asks of a VMCS, wherever it lies.
#pragma once

#include <concepts>

#include "hypervisor/vmcs/fields.hpp"

namespace hvp::vmx {

/// Something that has VMCS fields. Its models: CurrentVmcs, which checks each access;
/// UncheckedVmcs, while an exit is handled.
template <typename V>
concept Vmcs = requires(V vmcs, const V& read_only) {
    { read_only.read(exit_reason) } -> std::same_as<ExitReasonField>;
    vmcs.write(guest_rip, arch::GuestLinearAddress{0});
};

}  // namespace hvp::vmx
