// A processor under 64-bit Windows 10, scripted: what the VMM finds when it is loaded.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "hypervisor/arch/descriptor_tables.hpp"
#include "hypervisor/arch/processor_state.hpp"

namespace hvp::vmx {

/// Each register has a value of its own, so that no two can be mixed up. DS, ES, FS and GS have RPL
/// 3, as Windows leaves them in the kernel; its TSS is busy, as TR refers to it.
class WindowsProcessor : public testing::Test {
protected:
    static constexpr std::size_t task_slot = 8;

    WindowsProcessor() {
        const auto task = arch::task_descriptor(task_base);
        gdt[task_slot] = task[0] | arch::task_busy;
        gdt[task_slot + 1] = task[1];
        arch::processor = {};
        arch::processor.registers = {{"CR0", 0x8005'0033}, {"CR3", 0x1A'D000}, {"CR4", 0x37'06F8},
                                     {"DR7", 0x455},       {"RFLAGS", 0x46},   {"CS", 0x10},
                                     {"SS", 0x18},         {"DS", 0x2B},       {"ES", 0x2B},
                                     {"FS", 0x53},         {"GS", 0x2B},       {"LDTR", 0},
                                     {"TR", 0x40}};
        arch::processor.msrs = {
            {arch::Msr::debugctl, 2},          {arch::Msr::sysenter_cs, 0x11},
            {arch::Msr::sysenter_esp, 0x222},  {arch::Msr::sysenter_eip, 0x333},
            {arch::Msr::fs_base, 0x7FFD'0000}, {arch::Msr::gs_base, 0xFFFF'F803'0000'0000}};
        arch::processor.gdtr = {.limit_bytes = sizeof gdt - 1,
                                .base = reinterpret_cast<std::uint64_t>(gdt.data())};
        arch::processor.idtr = {.limit_bytes = 0xFFF, .base = 0xFFFF'F803'0000'1000};
    }

    static constexpr std::uint64_t task_base = 0xFFFF'F803'1234'5670;
    std::array<std::uint64_t, 11> gdt{0,
                                      0,
                                      0x0020'9B00'0000'0000,
                                      0x0040'9300'0000'0000,
                                      0x00CF'FB00'0000'FFFF,
                                      0x00CF'F300'0000'FFFF,
                                      0x0020'FB00'0000'0000,
                                      0,
                                      0,
                                      0,
                                      0x0040'F300'0000'3C00};
};

}  // namespace hvp::vmx
