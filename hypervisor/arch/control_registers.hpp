// CR0, CR4, RFLAGS, IA32_EFER, IA32_DEBUGCTL and the debug registers: the switches that VMX
// operation cares about.
#pragma once

#include <cstdint>

#include "hypervisor/arch/flags.hpp"

namespace hvp::arch {

/// CR0.  [SDM 3A 2.5 "Control Registers"]
enum class Cr0 : std::uint64_t {
    protection_enable = 1ULL << 0,
    monitor_coprocessor = 1ULL << 1,
    emulation = 1ULL << 2,
    task_switched = 1ULL << 3,
    extension_type = 1ULL << 4,
    numeric_error = 1ULL << 5,
    write_protect = 1ULL << 16,
    alignment_mask = 1ULL << 18,
    not_write_through = 1ULL << 29,
    cache_disable = 1ULL << 30,
    paging = 1ULL << 31,
};

/// CR4.  [SDM 3A 2.5 "Control Registers"]
enum class Cr4 : std::uint64_t {
    virtual_8086_extensions = 1ULL << 0,
    protected_virtual_interrupts = 1ULL << 1,
    time_stamp_disable = 1ULL << 2,
    debugging_extensions = 1ULL << 3,
    page_size_extensions = 1ULL << 4,
    physical_address_extension = 1ULL << 5,
    machine_check_enable = 1ULL << 6,
    page_global_enable = 1ULL << 7,
    performance_counter_enable = 1ULL << 8,
    os_fxsave = 1ULL << 9,
    os_simd_exceptions = 1ULL << 10,
    user_mode_instruction_prevention = 1ULL << 11,
    linear_addresses_57_bits = 1ULL << 12,
    vmx_enable = 1ULL << 13,
    smx_enable = 1ULL << 14,
    fsgsbase = 1ULL << 16,
    process_context_identifiers = 1ULL << 17,
    os_xsave = 1ULL << 18,
    supervisor_mode_execution_prevention = 1ULL << 20,
    supervisor_mode_access_prevention = 1ULL << 21,
    protection_keys = 1ULL << 22,
    control_flow_enforcement = 1ULL << 23,
    supervisor_protection_keys = 1ULL << 24,
};

/// RFLAGS, the system flags.  [SDM 3A 2.3 "System Flags and Fields in the EFLAGS Register"]
enum class Rflags : std::uint64_t {
    carry = 1ULL << 0,
    always_one = 1ULL << 1,
    parity = 1ULL << 2,
    auxiliary_carry = 1ULL << 4,
    zero = 1ULL << 6,
    sign = 1ULL << 7,
    trap = 1ULL << 8,
    interrupt_enable = 1ULL << 9,
    direction = 1ULL << 10,
    overflow = 1ULL << 11,
    nested_task = 1ULL << 14,
    resume = 1ULL << 16,
    virtual_8086 = 1ULL << 17,
    alignment_check = 1ULL << 18,
    virtual_interrupt = 1ULL << 19,
    virtual_interrupt_pending = 1ULL << 20,
    identification = 1ULL << 21,
};

/// IA32_EFER.  [SDM 3A 2.2.1 "Extended Feature Enable Register"]
enum class Efer : std::uint64_t {
    syscall_enable = 1ULL << 0,
    long_mode_enable = 1ULL << 8,
    long_mode_active = 1ULL << 10,
    execute_disable_enable = 1ULL << 11,
};

/// IA32_DEBUGCTL, those that a debug exception clears.  [SDM 3A 17.4.1 "IA32_DEBUGCTL MSR"]
enum class DebugControl : std::uint64_t {
    last_branch_record = 1ULL << 0,
    branch_trap = 1ULL << 1,  ///< BTF: with RFLAGS.TF, a debug exception at branches only
};

/// DR6.  [SDM 3A 17.2.3 "Debug Status Register (DR6)"]
enum class Dr6 : std::uint64_t {
    breakpoint_0 = 1ULL << 0,
    breakpoint_1 = 1ULL << 1,
    breakpoint_2 = 1ULL << 2,
    breakpoint_3 = 1ULL << 3,
    debug_register_access = 1ULL << 13,
    single_step = 1ULL << 14,
};

/// DR7.  [SDM 3A 17.2.4 "Debug Control Register (DR7)"]
enum class Dr7 : std::uint64_t { general_detect = 1ULL << 13 };

constexpr Flags<Cr0> operator|(Cr0 a, Cr0 b) {
    return Flags<Cr0>{a} | b;
}
constexpr Flags<Cr4> operator|(Cr4 a, Cr4 b) {
    return Flags<Cr4>{a} | b;
}
constexpr Flags<DebugControl> operator|(DebugControl a, DebugControl b) {
    return Flags<DebugControl>{a} | b;
}
constexpr Flags<Dr6> operator|(Dr6 a, Dr6 b) {
    return Flags<Dr6>{a} | b;
}

}  // namespace hvp::arch
