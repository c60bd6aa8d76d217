// Addresses that are not numbers: four spaces, and no way to mix them by accident.
//
// A linear address is what an instruction uses; paging turns it into a physical one. In VMX
// operation each exists twice, for the guest and for the host, so there are four spaces. Before a
// VMM uses EPT, guest-physical and host-physical addresses are equal, which is why the bug of
// mixing them shows so late.  [SDM 3C 25.5.3 "Translation of Guest-Physical Addresses Using EPT"]
#pragma once

#include <compare>
#include <cstdint>

namespace hvp::arch {

/// One address in `Space`. Construction is explicit, two addresses cannot be added, and crossing
/// into another space is a function with a name.
template <typename Space>
class Address {
public:
    constexpr explicit Address(std::uint64_t raw) : raw_{raw} {}
    [[nodiscard]] constexpr std::uint64_t raw() const { return raw_; }

    friend constexpr Address operator+(Address a, std::uint64_t bytes) {
        return Address{a.raw_ + bytes};
    }
    friend constexpr Address operator-(Address a, std::uint64_t bytes) {
        return Address{a.raw_ - bytes};
    }
    friend constexpr std::uint64_t operator-(Address a, Address b) { return a.raw_ - b.raw_; }
    friend constexpr auto operator<=>(Address, Address) = default;

private:
    std::uint64_t raw_;
};

using HostLinearAddress = Address<struct HostLinear>;
using HostPhysicalAddress = Address<struct HostPhysical>;
using GuestLinearAddress = Address<struct GuestLinear>;
using GuestPhysicalAddress = Address<struct GuestPhysical>;

inline constexpr std::uint64_t page_bytes = 4096;

/// The linear address of an object of ours.
[[nodiscard]] inline HostLinearAddress linear_address_of(const void* object) {
    return HostLinearAddress{reinterpret_cast<std::uint64_t>(object)};
}

/// Whether the address can be used for paging structures and VMX regions as it is.
template <typename Space>
[[nodiscard]] constexpr bool is_page_aligned(Address<Space> address) {
    return address.raw() % page_bytes == 0;
}

/// The first address of the page that the address lies in.
template <typename Space>
[[nodiscard]] constexpr Address<Space> page_of(Address<Space> address) {
    return Address<Space>{address.raw() & ~(page_bytes - 1)};
}

/// How many pages hold that many bytes, from the first byte of a page.
[[nodiscard]] constexpr std::uint64_t pages_for(std::uint64_t bytes) {
    return (bytes + page_bytes - 1) / page_bytes;
}

/// How many bytes of its page lie before the address.
template <typename Space>
[[nodiscard]] constexpr std::uint64_t offset_in_page(Address<Space> address) {
    return address.raw() % page_bytes;
}

}  // namespace hvp::arch
