#include "tool/explain/judged.hpp"

#include "hypervisor/vmcs/fields.hpp"

namespace hvp::tool {

using vmx::checks::Fact;
using vmx::checks::item;

std::optional<std::uint64_t> Judged::of_the_dump(Item item) const {
    const auto value = image_.look_up(item);
    has_asked_ |= value.has_value();
    return value;
}

std::optional<std::uint64_t> Judged::find(std::uint32_t encoding) const {
    if (const auto own = of_the_dump({Item::Kind::field, encoding})) {
        return own;
    }
    return encoding == vmx::guest_rflags.encoding     ? likely_rflags_
           : encoding == vmx::entry_controls.encoding ? likely_entry_controls_
                                                      : std::nullopt;
}

std::optional<std::uint64_t> Judged::msr(arch::Msr index) const {
    const auto own = of_the_dump(item(index));
    return own ? own : model_.msr(index);
}

std::optional<std::uint64_t> Judged::fact(Fact fact) const {
    if (const auto own = of_the_dump(item(fact))) {
        return own;
    }
    constexpr std::uint64_t vmlaunch_not_clear = 4;
    constexpr std::uint64_t vmresume_not_launched = 5;
    constexpr std::uint64_t events_blocked_by_mov_ss = 26;
    const std::uint64_t error = said_.instruction_error;
    switch (fact) {
        case Fact::in_ia32e_mode:
        case Fact::has_current_vmcs:
            return 1;
        case Fact::in_smm:
        case Fact::outside_64_bit_mode:
        case Fact::privilege_level:
        case Fact::current_vmcs_is_shadow:
            return 0;
        case Fact::blocking_by_mov_ss:
            return error == events_blocked_by_mov_ss ? 1 : 0;
        case Fact::by_vmresume:
            return error == vmresume_not_launched ? 1 : 0;
        case Fact::is_launched:
            return error == vmlaunch_not_clear ? 1 : 0;
        default:
            return model_.fact(fact);
    }
}

std::optional<std::uint64_t> Judged::look_up(Item item) const {
    switch (item.kind) {
        case Item::Kind::none:
            return std::nullopt;
        case Item::Kind::msr:
            return msr(static_cast<arch::Msr>(item.number));
        case Item::Kind::fact:
            return fact(static_cast<Fact>(item.number));
        case Item::Kind::field:
            return find(static_cast<std::uint32_t>(item.number));
        case Item::Kind::memory:
            return image_.look_up(item);
    }
    return std::nullopt;
}

bool Judged::is_of_the_model(Item item) const {
    return item.kind == Item::Kind::msr && !image_.look_up(item);
}

std::optional<Judged> Judged::with_likely_values(std::span<const Item> missing) const {
    Judged likely = *this;
    for (const Item one : missing) {
        if (one == item(vmx::guest_rflags)) {
            // In virtual-8086 mode nothing but F3H is allowed there.
            // [SDM 3C 26.3.1.2 "Checks on Guest Segment Registers"]
            constexpr std::uint64_t rights_of_8086 = 0xF3;
            const auto rights = image_.find(vmx::guest_cs_rights.encoding);
            if (!rights || *rights == rights_of_8086) {
                return std::nullopt;
            }
            likely.likely_rflags_ = 2;
        } else if (one == item(vmx::entry_controls)) {
            constexpr std::uint64_t must_be_one = 0x11FB;
            constexpr std::uint64_t ia32e_mode_guest = 1ULL << 9;
            constexpr std::uint64_t lma = 1ULL << 10;
            const auto efer = image_.find(vmx::guest_efer.encoding);
            if (!efer) {
                return std::nullopt;
            }
            likely.likely_entry_controls_ =
                must_be_one | ((*efer & lma) != 0 ? ia32e_mode_guest : 0);
        } else {
            return std::nullopt;
        }
    }
    return likely;
}

}  // namespace hvp::tool
