// Stands in for entry.S on the host: a test says what the guest does.
#pragma once

#include <cstddef>
#include <functional>

#include "hypervisor/vcpu/virtual_processor.hpp"

namespace hvp::vmx {

/// What happens between VMLAUNCH and the return of hvp_run_guest.
inline std::function<void(VmmFrame&)> fake_guest;

/// How the handling of the last exit ended.
enum class FakeOutcome { none, resumed, left };
inline FakeOutcome fake_outcome{};

/// Thrown where a departed guest goes on.
struct ContinuesNatively {};

/// entry.S has 32 stubs of 16 bytes.
inline constexpr std::size_t stub_bytes = 16;
inline constexpr std::size_t stub_count = 32;
extern "C" const std::byte hvp_host_trap_stubs[stub_count * stub_bytes];

}  // namespace hvp::vmx
