// The mnemonics of exceptions, for people. Only the host's tool and the tests include this.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "hypervisor/vmcs/event_information.hpp"

namespace hvp::vmx {

/// A row of the manual's table of exceptions.
struct ExceptionName {
    Vector vector;
    std::string_view mnemonic;
};

/// [SDM 3A 6.15 "Exception and Interrupt Reference"], table 6-1
inline constexpr auto exception_names = std::to_array<ExceptionName>({
    {Vector::divide_error, "#DE"},
    {Vector::debug, "#DB"},
    {Vector::nmi, "NMI"},
    {Vector::breakpoint, "#BP"},
    {Vector::overflow, "#OF"},
    {Vector::bound_range, "#BR"},
    {Vector::invalid_opcode, "#UD"},
    {Vector::device_not_available, "#NM"},
    {Vector::double_fault, "#DF"},
    {Vector::invalid_tss, "#TS"},
    {Vector::segment_not_present, "#NP"},
    {Vector::stack_fault, "#SS"},
    {Vector::general_protection, "#GP"},
    {Vector::page_fault, "#PF"},
    {Vector::floating_point, "#MF"},
    {Vector::alignment_check, "#AC"},
    {Vector::machine_check, "#MC"},
    {Vector::simd, "#XM"},
    {Vector::virtualization, "#VE"},
    {Vector::control_protection, "#CP"},
});

/// Empty for a vector that the manual does not define.
[[nodiscard]] constexpr std::string_view exception_mnemonic(std::uint64_t vector) {
    for (const ExceptionName& row : exception_names) {
        if (std::to_underlying(row.vector) == vector) {
            return row.mnemonic;
        }
    }
    return {};
}

}  // namespace hvp::vmx
