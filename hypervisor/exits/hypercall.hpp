// VMCALL: how a guest that knows of its VMM speaks to it. Both sides include this file.
//
// RAX holds the call, RCX its argument; the answer is a status in RAX and a value in RDX. All other
// registers stay as they are. With any number in RAX that is none of ours VMCALL is an invalid
// opcode, as on a processor without VT-x.
#pragma once

#include <cstdint>

#include "hypervisor/arch/instructions.hpp"

namespace hvp::vmx {

enum class Hypercall : std::uint64_t {
    ping = 0x4856'5000,  ///< answers its argument plus one
    exit_count,          ///< how many exits of the basic reason in RCX there were
    stop,                ///< ends this guest; there is no answer
};

/// From here on each stage has its own calls.
inline constexpr std::uint64_t first_call_of_stage = 0x4856'5100;

/// Whether VMCALL with this number speaks to us. Bits 31:16 read "HV".
[[nodiscard]] constexpr bool is_hypercall(std::uint64_t number) {
    return number >> 12 == 0x4'8565;
}
static_assert(is_hypercall(first_call_of_stage) && !is_hypercall(0));

enum class HypercallStatus : std::uint64_t {
    success = 0,
    unknown_call = 1,
    bad_argument = 2,
};

struct HypercallAnswer {
    HypercallStatus status;
    std::uint64_t value;
};

/// Asks the VMM.
///
/// Where    a guest, at CPL 0; elsewhere VMCALL raises #UD, as it does on a processor outside VMX
///          operation
[[nodiscard]] inline HypercallAnswer hypercall(Hypercall call, std::uint64_t argument) {
    const arch::VmcallResult result = arch::vmcall(static_cast<std::uint64_t>(call), argument);
    return {.status = static_cast<HypercallStatus>(result.rax), .value = result.rdx};
}

}  // namespace hvp::vmx
