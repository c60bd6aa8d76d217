// How a stage says that its guest did not do what it was made for.
#pragma once

#include <expected>

#include "hypervisor/vcpu/virtual_processor.hpp"
#include "hypervisor/vmx/failure.hpp"

namespace hvp::stages {

/// Needs    `why` lives as long as the driver
[[nodiscard]] inline std::unexpected<vmx::Failure> unexpected(const vmx::Explanation& why) {
    return std::unexpected{vmx::Failure{.kind = vmx::FailureKind::unexpected, .why = &why}};
}

/// VMLAUNCH or VMRESUME said VMfail.
[[nodiscard]] inline std::unexpected<vmx::Failure> entry_refused(const vmx::GuestStop& guest_stop) {
    static constexpr vmx::Explanation vmlaunch{
        .step = "VMLAUNCH",
        .rule = {"3C", "30.4", "VM Instruction Error Numbers"},
        .remedy = "./playground explain names the rule",
    };
    static constexpr vmx::Explanation vmresume{
        .step = "VMRESUME", .rule = vmlaunch.rule, .remedy = vmlaunch.remedy};
    return std::unexpected{vmx::Failure{
        .kind = vmx::FailureKind::instruction_failed,
        .result = guest_stop.result,
        .error_number = guest_stop.error_number,
        .why = guest_stop.refused_by == vmx::EntryInstruction::vmlaunch ? &vmlaunch : &vmresume}};
}

/// The VMM left a guest that had not asked for it.
[[nodiscard]] inline std::unexpected<vmx::Failure> left_early(const vmx::GuestStop& guest_stop) {
    if (guest_stop.why == vmx::StopReason::entry_refused) {
        return entry_refused(guest_stop);
    }
    static constexpr vmx::Explanation why{
        .step = "the guest",
        .rule = {"3C", "31.7", "Handling of VM Exits"},
        .remedy = "the event GuestEnded says why the VMM left it",
    };
    return std::unexpected{vmx::Failure{.kind = vmx::FailureKind::unexpected,
                                        .why = &why,
                                        .number = guest_stop.reason.basic_reason}};
}

}  // namespace hvp::stages
