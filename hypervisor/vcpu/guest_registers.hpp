// The guest's general registers while the VMM runs.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace hvp::vmx {

/// In the order of the numbers that instructions use for them, so that an exit qualification's
/// register number is the index.  [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-3]
enum class Register : std::uint8_t {
    rax,
    rcx,
    rdx,
    rbx,
    rsp,
    rbp,
    rsi,
    rdi,
    r8,
    r9,
    r10,
    r11,
    r12,
    r13,
    r14,
    r15
};

/// RSP, RIP and RFLAGS are not here: the processor keeps them in the VMCS, and a value written here
/// would have no effect. The place of RSP is empty; arch::execute_with uses it for RFLAGS.
class GuestRegisters {
public:
    [[nodiscard]] std::uint64_t& operator[](Register which) {
        return values_[static_cast<std::uint8_t>(which)];
    }
    [[nodiscard]] std::uint64_t operator[](Register which) const {
        return values_[static_cast<std::uint8_t>(which)];
    }

    /// The lower half of a register; writing it clears the upper one, as instructions do.
    [[nodiscard]] std::uint32_t low(Register which) const {
        return static_cast<std::uint32_t>((*this)[which]);
    }

    /// EDX:EAX, as RDMSR, WRMSR and XSETBV have it.
    [[nodiscard]] std::uint64_t edx_eax() const {
        return std::uint64_t{low(Register::rdx)} << 32 | low(Register::rax);
    }
    void set_edx_eax(std::uint64_t value) {
        (*this)[Register::rax] = static_cast<std::uint32_t>(value);
        (*this)[Register::rdx] = value >> 32;
    }

    [[nodiscard]] std::uint64_t (&values())[16] { return values_; }

    /// A number that changes when any of the registers does, or when two change places: what guest
    /// and VMM compare to see that they speak of the same values.
    [[nodiscard]] constexpr std::uint64_t sum() const {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < 16; ++i) {
            if (i != static_cast<std::size_t>(Register::rsp)) {
                sum = std::rotl(sum, 7) + values_[i];
            }
        }
        return sum;
    }

    friend constexpr bool operator==(const GuestRegisters&, const GuestRegisters&) = default;

private:
    std::uint64_t values_[16]{};
};
static_assert(sizeof(GuestRegisters) == 16 * sizeof(std::uint64_t), "entry.S");

}  // namespace hvp::vmx
