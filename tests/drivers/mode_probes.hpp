// What is tried in which mode of the processor: for vmx_modes.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tests/drivers/event_snippets.hpp"
#include "tests/drivers/low_modes.hpp"

namespace hvp::tests {

/// A mode of the processor.
struct Place {
    const char* name;
    std::optional<Mode> long_mode;
    LowMode low_mode;
};
inline constexpr std::array<Place, 6> places{{
    {"64-bit mode, CPL 0", Mode::kernel, {}},
    {"64-bit mode, CPL 3", Mode::user_64, {}},
    {"compatibility mode, CPL 0", Mode::kernel_32, {}},
    {"compatibility mode, CPL 3", Mode::user_32, {}},
    {"real-address mode", std::nullopt, LowMode::real_address},
    {"virtual-8086 mode", std::nullopt, LowMode::virtual_8086},
}};

enum class About : std::uint8_t {
    instruction,  ///< a VMX instruction: as on the bare processor outside VMX operation
    hidden,       ///< as on a processor without VT-x
    mode,         ///< what else the VMM does for a guest in a mode without long mode
};

/// An instruction, and the registers that it gets.
struct Probe {
    About about;
    std::string_view name;
    std::size_t bytes;
    std::array<std::uint8_t, 5> code;
    std::uint32_t ecx{};
    std::uint32_t flags{};
    bool sets_vmxe{};  ///< EAX is CR4 with VMXE
    bool at_end_of_segment{};
};

inline constexpr std::size_t more_probes = 15;
inline constexpr std::array<Probe, more_probes> more{{
    {.about = About::hidden,
     .name = "MOV to CR4 with VMXE",
     .bytes = 3,
     .code = {0x0F, 0x22, 0xE0},
     .sets_vmxe = true},
    {About::hidden, "RDMSR of 480H", 2, {0x0F, 0x32}, 0x480},
    {About::hidden, "WRMSR of 480H", 2, {0x0F, 0x30}, 0x480},
    {About::hidden, "RDMSR of 3AH", 2, {0x0F, 0x32}, 0x3A},
    {About::hidden, "WRMSR of 3AH", 2, {0x0F, 0x30}, 0x3A},
    {About::mode, "UD2", 2, {0x0F, 0x0B}},
    {About::mode, "DIV CL", 2, {0xF6, 0xF1}},
    {About::mode, "INT3", 1, {0xCC}},
    {About::mode, "INTO", 1, {0xCE}, 0, 0x800},
    {About::mode, "INT1", 1, {0xF1}},
    {About::mode, "LLDT AX", 3, {0x0F, 0x00, 0xD0}},
    // Four bytes of which the last three lie behind the segment: #GP, in real mode without error
    // code.
    {About::mode, "MOV EAX, [FFFFH]", 4, {0x66, 0xA1, 0xFF, 0xFF}},
    {About::mode, "CPUID, single-stepped", 2, {0x0F, 0xA2}, 0, 0x100},
    {.about = About::mode,
     .name = "CPUID at the segment's end",
     .bytes = 2,
     .code = {0x0F, 0xA2},
     .at_end_of_segment = true},
    {.about = About::mode,
     .name = "CPUID at the segment's end, single-stepped",
     .bytes = 2,
     .code = {0x0F, 0xA2},
     .flags = 0x100,
     .at_end_of_segment = true},
}};

inline constexpr std::size_t probe_count = vmx_code.size() + more.size();
inline constexpr auto probes = [] {
    std::array<Probe, probe_count> all{};
    for (std::size_t i = 0; i < vmx_code.size(); ++i) {
        all[i] = {About::instruction, vmx_code[i].name, vmx_code[i].bytes, vmx_code[i].code};
    }
    std::ranges::copy(more, all.begin() + vmx_code.size());
    return all;
}();
inline constexpr const Probe& set_vmxe = probes[vmx_code.size()];

}  // namespace hvp::tests
