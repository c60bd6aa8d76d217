// When the parts of a guest's life began.
#pragma once

#include <cstdint>

namespace hvp::vmx {

/// Time-stamp counter values. In VMX operation no event can be written: the times are noted, and
/// reported afterwards.
struct Timestamps {
    std::uint64_t vmxon_at{};
    std::uint64_t probe_at{};     ///< the guest of two instructions that chooses the step, if any
    std::uint64_t vm_entry_at{};  ///< the first
    std::uint64_t left_at{};      ///< after the last VM exit
};

}  // namespace hvp::vmx
