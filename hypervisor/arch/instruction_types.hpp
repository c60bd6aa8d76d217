// What instructions take and answer, where one number is not enough.
#pragma once

#include <cstdint>

namespace hvp::arch {

/// An instruction is at most this long.  [SDM 3A 6.15 "Exception and Interrupt Reference"]
inline constexpr std::uint32_t most_instruction_bytes = 15;

/// What CPUID answers.
struct CpuidResult {
    std::uint32_t eax;
    std::uint32_t ebx;
    std::uint32_t ecx;
    std::uint32_t edx;
};

/// The same as whole registers, whose upper halves CPUID clears.
struct CpuidRegisters {
    std::uint64_t rax;
    std::uint64_t rbx;
    std::uint64_t rcx;
    std::uint64_t rdx;
};

/// What SGDT and SIDT store and LGDT and LIDT load: ten bytes.
/// [SDM 3A 3.5.1 "Segment Descriptor Tables"]
struct [[gnu::packed]] TableRegister {
    std::uint16_t limit_bytes;
    std::uint64_t base;
};
static_assert(sizeof(TableRegister) == 10);

/// How a VMX instruction went.  [SDM 3C 30.2 "Conventions"]
enum class VmxResult : std::uint8_t {
    succeed,       ///< VMsucceed
    fail_invalid,  ///< VMfailInvalid, CF = 1: there is no current VMCS to put an error number into
    fail_valid,    ///< VMfailValid, ZF = 1: the current VMCS's VM-instruction error field has the
                   ///< reason
};

/// VMfailInvalid sets CF, VMfailValid sets ZF, VMsucceed clears both.
[[nodiscard]] constexpr VmxResult vmx_result(bool carry, bool zero) {
    if (carry) {
        return VmxResult::fail_invalid;
    }
    return zero ? VmxResult::fail_valid : VmxResult::succeed;
}

/// Which cached translations INVEPT invalidates.  [SDM 3C 30.3 "VMX Instructions"] INVEPT
enum class InveptType : std::uint64_t {
    single_context = 1,  ///< those from one EPT
    all_contexts = 2,    ///< those from any
};

/// Which cached translations INVVPID invalidates.  [SDM 3C 30.3 "VMX Instructions"] INVVPID
enum class InvvpidType : std::uint64_t {
    single_context = 1,                    ///< all of one VPID
    single_context_retaining_globals = 3,  ///< … except those of global pages
};

/// Which cached translations INVPCID invalidates.
/// [SDM 3A 4.10.4.1 "Operations that Invalidate TLBs and Paging-Structure Caches"]
enum class InvpcidType : std::uint64_t {
    individual_address = 0,  ///< of one page, with one PCID, but for global ones
    all_contexts = 2,        ///< all, also global ones
};

/// What VMCALL returns, by the convention of our VMM.
struct VmcallResult {
    std::uint64_t rax;
    std::uint64_t rdx;
};

}  // namespace hvp::arch
