// The processor's features, as far as the kernel's set-up depends on them.
#pragma once

#include <cstdint>

namespace hvp::lab::hal {

/// Read once from CPUID. The lab runs on every 64-bit model, so nothing newer than the first
/// 64-bit processors is assumed.
struct Features {
    bool execute_disable{};
    bool syscall{};
    bool rdtscp{};
    bool fsgsbase{};
    bool smep{};
    bool smap{};
    bool umip{};
    bool pcid{};
    bool invpcid{};
    bool cet{};
    bool vmx{};
    bool xsaves{};
    bool has_xinuse{};                  ///< XGETBV of XINUSE
    std::uint64_t extended_states{};    ///< bits that XCR0 may have; 0: no XSAVE
    std::uint64_t supervisor_states{};  ///< bits that IA32_XSS may have
};

/// Executes CPUID.
[[nodiscard]] Features detect_features();

}  // namespace hvp::lab::hal
