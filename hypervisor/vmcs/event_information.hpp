// Events as the VMCS describes them: what happened, and what shall happen at the next VM entry.
#pragma once

#include <cstdint>

namespace hvp::vmx {

/// What kind of event.  [SDM 3C 24.8.3 "VM-Entry Controls for Event Injection", Table 24-13]
enum class EventType : std::uint32_t {
    external_interrupt = 0,
    nmi = 2,
    hardware_exception = 3,
    software_interrupt = 4,
    privileged_software_exception = 5,
    software_exception = 6,
    other = 7,
};

/// Exceptions by their vectors.  [SDM 3A 6.15 "Exception and Interrupt Reference"], table 6-1
enum class Vector : std::uint8_t {
    divide_error = 0,
    debug = 1,
    nmi = 2,
    breakpoint = 3,
    overflow = 4,
    bound_range = 5,
    invalid_opcode = 6,
    device_not_available = 7,
    double_fault = 8,
    invalid_tss = 10,
    segment_not_present = 11,
    stack_fault = 12,
    general_protection = 13,
    page_fault = 14,
    floating_point = 16,
    alignment_check = 17,
    machine_check = 18,
    simd = 19,
    virtualization = 20,
    control_protection = 21,
};

/// The VM-entry interruption-information field, the VM-exit interruption information and the
/// IDT-vectoring information have this layout in common.
/// [SDM 3C 24.8.3 "VM-Entry Controls for Event Injection"],
/// [SDM 3C 24.9.2 "Information for VM Exits Due to Vectored Events"]
struct InterruptionInformation {
    std::uint32_t vector : 8 {};
    std::uint32_t type : 3 {};
    std::uint32_t has_error_code : 1 {};
    std::uint32_t nmi_unblocking : 1 {};  ///< at exits only
    std::uint32_t reserved_30_13 : 18 {};
    std::uint32_t valid : 1 {};

    [[nodiscard]] constexpr bool is(EventType event) const {
        return valid != 0 && type == static_cast<std::uint32_t>(event);
    }
    [[nodiscard]] constexpr bool is(Vector exception) const {
        return is(EventType::hardware_exception) && vector == static_cast<std::uint32_t>(exception);
    }
};
static_assert(sizeof(InterruptionInformation) == sizeof(std::uint32_t));

/// The exceptions that push an error code.  [SDM 3C 26.2.1.3 "VM-Entry Control Fields"]
[[nodiscard]] constexpr bool pushes_error_code(Vector vector) {
    switch (vector) {
        case Vector::double_fault:
        case Vector::invalid_tss:
        case Vector::segment_not_present:
        case Vector::stack_fault:
        case Vector::general_protection:
        case Vector::page_fault:
        case Vector::alignment_check:
            return true;
        default:
            return false;
    }
}

/// An exception as hardware raises it, for the next VM entry.
[[nodiscard]] constexpr InterruptionInformation exception(Vector vector) {
    return {.vector = static_cast<std::uint32_t>(vector),
            .type = static_cast<std::uint32_t>(EventType::hardware_exception),
            .has_error_code = pushes_error_code(vector) ? 1U : 0U,
            .valid = 1};
}

/// An external interrupt for the next VM entry.
[[nodiscard]] constexpr InterruptionInformation external_interrupt(std::uint8_t vector) {
    return {.vector = vector,
            .type = static_cast<std::uint32_t>(EventType::external_interrupt),
            .valid = 1};
}

/// An NMI for the next VM entry.
inline constexpr InterruptionInformation injected_nmi{
    .vector = static_cast<std::uint32_t>(Vector::nmi),
    .type = static_cast<std::uint32_t>(EventType::nmi),
    .valid = 1};

}  // namespace hvp::vmx
