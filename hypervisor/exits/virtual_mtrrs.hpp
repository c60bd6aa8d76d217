// The MTRRs that a guest has: values that the VMM keeps.
//
// Under EPT the processor does not use its MTRRs for the guest's accesses; the types lie in the
// entries of the EPT. So the guest's MTRRs need not be the processor's, and must not be: a WRMSR
// concerns one processor, and while its MTRRs differ from the others' one line may be cached here
// and not there. A system changes them on all processors at once, with caches off and interrupts
// off; a guest that does so has stopped its virtual processors, not ours.
// [SDM 3C 28.2.6.2 "Memory Type Used for Translated Guest-Physical Addresses"],
// [SDM 3A 11.11.8 "MTRR Considerations in MP Systems"]
#pragma once

#include <cstdint>
#include <optional>

#include "hypervisor/arch/mtrr.hpp"

namespace hvp::vmx {

/// One guest's MTRRs, the same on all its processors. At first they are the processor's.
class VirtualMtrrs {
public:
    /// `address_bits`: see `arch::mtrr_address_bits`
    constexpr VirtualMtrrs(const arch::MtrrSnapshot& at_first, std::uint32_t address_bits)
        : registers_{at_first}, address_bits_{address_bits} {}

    /// Returns  nothing where RDMSR raises #GP
    [[nodiscard]] std::optional<std::uint64_t> read(arch::Msr msr) const {
        return arch::mtrr_of(registers_, msr);
    }
    /// The registers as they would be after WRMSR.
    ///
    /// Returns  nothing where WRMSR raises #GP
    [[nodiscard]] std::optional<arch::MtrrSnapshot> after_write(arch::Msr msr,
                                                                std::uint64_t value) const {
        if (!arch::valid_mtrr_write(msr, value, registers_.capabilities, address_bits_)) {
            return std::nullopt;
        }
        arch::MtrrSnapshot after = registers_;
        arch::set_mtrr(after, msr, value);
        return after;
    }
    void use(const arch::MtrrSnapshot& registers) { registers_ = registers; }

    [[nodiscard]] const arch::MtrrSnapshot& registers() const { return registers_; }

private:
    arch::MtrrSnapshot registers_;
    std::uint32_t address_bits_;
};

}  // namespace hvp::vmx
