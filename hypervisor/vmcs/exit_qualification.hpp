// Exit qualifications, bit by bit. Which exit has which, the table in exit_reason.hpp says; that of
// an EPT violation is ept::ViolationQualification.
#pragma once

#include <cstdint>

#include "hypervisor/vmcs/fields.hpp"

namespace hvp::vmx {

/// Which instruction accesses a control register.
enum class ControlRegisterOperation : std::uint64_t { move_to, move_from, clts, lmsw };

/// A control-register access.  [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-3]
struct ControlRegisterAccess {
    std::uint64_t number : 4 {};
    std::uint64_t type : 2 {};
    std::uint64_t lmsw_operand : 1 {};
    std::uint64_t reserved_7 : 1 {};
    std::uint64_t general_register : 4 {};
    std::uint64_t reserved_15_12 : 4 {};
    std::uint64_t lmsw_source : 16 {};
    std::uint64_t reserved_63_32 : 32 {};

    [[nodiscard]] constexpr ControlRegisterOperation operation() const {
        return static_cast<ControlRegisterOperation>(type);
    }
};
static_assert(sizeof(ControlRegisterAccess) == sizeof(std::uint64_t));

/// An IN or OUT.  [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-5]
struct IoAccess {
    std::uint64_t bytes_minus_1 : 3 {};
    std::uint64_t is_in : 1 {};
    std::uint64_t is_string : 1 {};
    std::uint64_t has_rep : 1 {};
    std::uint64_t immediate_operand : 1 {};
    std::uint64_t reserved_15_7 : 9 {};
    std::uint64_t port : 16 {};
    std::uint64_t reserved_63_32 : 32 {};
};
static_assert(sizeof(IoAccess) == sizeof(std::uint64_t));

/// Bit 12 of several qualifications: the exit is of an IRET that has ended the blocking by NMI, and
/// that will be executed again.  [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-7]
inline constexpr std::uint64_t nmi_unblocking_by_iret = 1U << 12;

/// The breakpoints that a debug exception has met. It has BS and B3:B0 where the pending debug
/// exceptions have them.  [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-1]
inline constexpr auto debug_breakpoints = PendingDebug::breakpoint_0 | PendingDebug::breakpoint_1 |
                                          PendingDebug::breakpoint_2 | PendingDebug::breakpoint_3;

}  // namespace hvp::vmx
