// What an EPT violation reports: every bit of its exit qualification.
#pragma once

#include <cstdint>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/ept/entry.hpp"

namespace hvp::ept {

/// The exit qualification.  [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-7]
struct ViolationQualification {
    std::uint64_t read : 1 {};     ///< the access was a data read
    std::uint64_t write : 1 {};    ///< … a data write
    std::uint64_t execute : 1 {};  ///< … an instruction fetch
    std::uint64_t readable : 1 {};
    std::uint64_t writable : 1 {};
    std::uint64_t executable : 1 {};
    std::uint64_t user_executable : 1 {};  ///< undefined without mode-based execute control
    std::uint64_t linear_address_valid : 1 {};
    /// 1: the access was to what the linear address leads to; 0: to a paging structure on the way.
    std::uint64_t final_access : 1 {};
    // 11:9 are defined only with "advanced VM-exit information for EPT violations".
    std::uint64_t user_linear_address : 1 {};
    std::uint64_t linear_address_writable : 1 {};
    std::uint64_t linear_address_execute_disable : 1 {};
    std::uint64_t nmi_unblocking_by_iret : 1 {};
    std::uint64_t reserved_63_13 : 51 {};
};
static_assert(sizeof(ViolationQualification) == sizeof(std::uint64_t));

/// An EPT violation or misconfiguration, as its handler gets it.
struct GuestMemoryEvent {
    arch::GuestPhysicalAddress guest_physical{0};
    arch::GuestLinearAddress guest_linear{0};  ///< a violation's, and only if the field is valid
    ViolationQualification qualification{};    ///< a violation's
    arch::GuestLinearAddress guest_rip{0};
    bool is_misconfiguration{};
};

/// Which right the access lacked.
[[nodiscard]] constexpr Rights wanted_by(const ViolationQualification& qualification) {
    return {.read = qualification.read != 0,
            .write = qualification.write != 0,
            .execute = qualification.execute != 0};
}

}  // namespace hvp::ept
