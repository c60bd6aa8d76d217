// The current VMCS of this processor, read and written field by field.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vmcs/fields.hpp"

namespace hvp::vmx {

/// Access to the VMCS that VMPTRLD has made current.
///
/// Sixty writes in a row read better without sixty `if`s, so the first refusal is kept, and what
/// comes after it is not tried: look at `refused()` once, after the last write.
///
/// Where    VMX root operation, on the processor where the VMCS is current.
class CurrentVmcs {
public:
    /// A VMWRITE or VMREAD that failed, or a word of controls that was not even tried.
    struct Refusal {
        std::uint32_t encoding;
        arch::VmxResult result;
        std::uint32_t missing_controls{};  ///< bits that are wanted and that this processor lacks
    };

    template <typename F>
    void write(F, std::type_identity_t<typename F::Value> value) {
        write_raw(F::encoding, std::bit_cast<typename F::Raw>(value));
    }

    /// Writes the field of one guest segment register; `first` is the first of its row.
    template <typename F>
    void write(F first, SegmentIndex segment, std::type_identity_t<typename F::Value> value) {
        write_raw(nth(first, segment), std::bit_cast<typename F::Raw>(value));
    }

    /// Reads a field that every processor has. Without a current VMCS the answer is 0 and
    /// `refused()` tells.
    template <typename F>
    [[nodiscard]] typename F::Value read(F) {
        return std::bit_cast<typename F::Value>(
            static_cast<typename F::Raw>(read_raw(F::encoding)));
    }

    [[nodiscard]] std::optional<Refusal> refused() const { return refused_; }

    /// A word of controls was not written, as the processor lacks these bits of it.
    void note_missing_controls(std::uint32_t encoding, std::uint32_t bits) {
        if (!refused_) {
            refused_ = Refusal{
                .encoding = encoding, .result = arch::VmxResult::succeed, .missing_controls = bits};
        }
    }

    /// Writes the field with this encoding. Not inlined: a driver has a hundred of them, and shall
    /// stay small.
    [[gnu::noinline]] void write_raw(std::uint32_t encoding, std::uint64_t value) {
        if (!refused_) {
            note(encoding, arch::vmwrite(encoding, value));
        }
    }

private:
    [[gnu::noinline]] std::uint64_t read_raw(std::uint32_t encoding) {
        std::uint64_t value{};
        const arch::VmxResult result = arch::vmread(encoding, value);
        if (!refused_) {
            note(encoding, result);
        }
        return value;
    }

    void note(std::uint32_t encoding, arch::VmxResult result) {
        if (result != arch::VmxResult::succeed) {
            refused_ = Refusal{.encoding = encoding, .result = result};
        }
    }

    std::optional<Refusal> refused_;
};

/// The VM-instruction error behind a `result`; 0 where there is none.
/// [SDM 3C 24.9.5 "VM-Instruction Error Field"]
[[nodiscard]] inline std::uint32_t error_number_of(arch::VmxResult result) {
    return result == arch::VmxResult::fail_valid ? CurrentVmcs{}.read(vm_instruction_error) : 0;
}

}  // namespace hvp::vmx
