// Words whose bits are independent switches: CR0, CR4, RFLAGS, the VMX controls.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

namespace hvp::arch {

/// A set of switches. `Switch` is an enum class with one bit per enumerator.
template <typename Switch>
    requires std::is_scoped_enum_v<Switch>
class Flags {
public:
    using Raw = std::underlying_type_t<Switch>;

    constexpr Flags() = default;
    constexpr Flags(Switch one) : raw_{std::to_underlying(one)} {}
    constexpr explicit Flags(Raw raw) : raw_{raw} {}

    [[nodiscard]] constexpr Raw raw() const { return raw_; }
    [[nodiscard]] constexpr bool has(Flags all) const { return (raw_ & all.raw_) == all.raw_; }
    [[nodiscard]] constexpr bool empty() const { return raw_ == 0; }

    /// The switches that are on here and off in `other`.
    [[nodiscard]] constexpr Flags without(Flags other) const { return Flags{raw_ & ~other.raw_}; }

    constexpr Flags& operator|=(Flags other) {
        raw_ |= other.raw_;
        return *this;
    }
    friend constexpr Flags operator|(Flags a, Flags b) { return Flags{a.raw_ | b.raw_}; }
    friend constexpr Flags operator&(Flags a, Flags b) { return Flags{a.raw_ & b.raw_}; }
    friend constexpr bool operator==(Flags, Flags) = default;

private:
    Raw raw_{};
};

}  // namespace hvp::arch
