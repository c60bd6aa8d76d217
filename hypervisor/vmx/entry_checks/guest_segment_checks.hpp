// What the rules for the guest's segment registers ask; guest_segments.hpp has their words.
// [SDM 3C 26.3.1.2 "Checks on Guest Segment Registers"]
#pragma once

#include "hypervisor/vmx/entry_checks/rule.hpp"

namespace hvp::vmx::checks {

using Index = SegmentIndex;

// ---- What the rules ask -----------------------------------------------------------------------

[[nodiscard]] inline bool virtual_8086(Examined& x) {
    return x.read(guest_rflags).has(arch::Rflags::virtual_8086);
}
template <Index s>
[[nodiscard]] arch::AccessRights rights(Examined& x) {
    return x.read(guest_es_rights, s);
}
template <Index s>
[[nodiscard]] std::uint64_t raw_rights(Examined& x) {
    return x.raw(of(guest_es_rights, s));
}
template <Index s>
[[nodiscard]] bool usable(Examined& x) {
    return rights<s>(x).unusable == 0;
}
/// Whether the parts of the access rights are looked at one by one: not in virtual-8086 mode, and
/// not if the register is unusable. CS and TR always count as usable.
template <Index s>
[[nodiscard]] bool counts(Examined& x) {
    if constexpr (s == Index::tr) {
        return true;
    } else if constexpr (s == Index::ldtr) {
        return usable<s>(x);
    } else {
        return !virtual_8086(x) && (s == Index::cs || usable<s>(x));
    }
}
[[nodiscard]] inline bool unrestricted(Examined& x) {
    return x.has(Secondary::unrestricted_guest);
}
[[nodiscard]] constexpr bool is_code(std::uint32_t type) {
    return (type & 8) != 0;
}
/// "Accessed code segment".
[[nodiscard]] constexpr bool is_accessed_code(std::uint32_t type) {
    return (type & 9) == 9;
}

// ---- Checks -----------------------------------------------------------------------------------

/// In virtual-8086 mode base, limit and rights are those of real mode.
template <Index s>
[[nodiscard]] Answer base_of_8086(Examined& x) {
    return broken_if(virtual_8086(x) &&
                     x.raw(of(guest_es_base, s)) != x.raw(of(guest_es_selector, s)) << 4);
}
template <Index s>
[[nodiscard]] Answer limit_of_8086(Examined& x) {
    return broken_if(virtual_8086(x) && x.raw(of(guest_es_limit, s)) != 0xFFFF);
}
template <Index s>
[[nodiscard]] Answer rights_of_8086(Examined& x) {
    return virtual_8086(x) ? broken_by(raw_rights<s>(x) ^ 0xF3) : holds;
}

template <Index s>
[[nodiscard]] Answer base_canonical(Examined& x) {
    if (!x.is(Fact::has_intel_64) || (s == Index::ldtr && !usable<s>(x))) {
        return holds;
    }
    return broken_if(!x.is_canonical(x.raw(of(guest_es_base, s))));
}
template <Index s>
[[nodiscard]] Answer base_32_bits(Examined& x) {
    if (!x.is(Fact::has_intel_64) || (s != Index::cs && !usable<s>(x))) {
        return holds;
    }
    return broken_by(x.raw(of(guest_es_base, s)) & bits(63, 32));
}

template <Index s>
[[nodiscard]] Answer table_indicator_clear(Examined& x) {
    return counts<s>(x) ? broken_by(x.raw(of(guest_es_selector, s)) & bit(2)) : holds;
}

template <Index s, std::uint64_t mask>
[[nodiscard]] Answer rights_clear(Examined& x) {
    return counts<s>(x) ? broken_by(raw_rights<s>(x) & mask) : holds;
}
template <Index s, std::uint64_t mask>
[[nodiscard]] Answer rights_set(Examined& x) {
    return counts<s>(x) ? broken_by(~raw_rights<s>(x) & mask) : holds;
}

/// The limit counts bytes with G = 0, and pages of 4 KBytes less one byte with G = 1: what does not
/// fit the one has to be the other.
template <Index s>
[[nodiscard]] Answer bytes_need_g_0(Examined& x) {
    const bool ends_in_page = (x.raw(of(guest_es_limit, s)) & bits(11, 0)) != bits(11, 0);
    return counts<s>(x) && ends_in_page ? broken_by(raw_rights<s>(x) & bit(15)) : holds;
}
template <Index s>
[[nodiscard]] Answer pages_need_g_1(Examined& x) {
    const bool is_large = (x.raw(of(guest_es_limit, s)) & bits(31, 20)) != 0;
    return counts<s>(x) && is_large ? broken_by(~raw_rights<s>(x) & bit(15)) : holds;
}

template <Index s>
[[nodiscard]] Answer accessed(Examined& x) {
    return counts<s>(x) ? broken_by(~raw_rights<s>(x) & bit(0)) : holds;
}
template <Index s>
[[nodiscard]] Answer readable(Examined& x) {
    const bool wrong = counts<s>(x) && is_code(rights<s>(x).type) && (rights<s>(x).type & 2) == 0;
    return broken_by(wrong ? bit(1) : 0);
}
/// DS, ES, FS, GS: privilege of the descriptor against that of the selector.
template <Index s>
[[nodiscard]] Answer dpl_not_below_rpl(Examined& x) {
    if (!counts<s>(x) || unrestricted(x)) {
        return holds;
    }
    constexpr std::uint32_t last_checked_type = 11;
    const auto part = rights<s>(x);
    const auto rpl = x.read(guest_es_selector, s).requested_privilege_level;
    const bool wrong = part.type <= last_checked_type && part.privilege_level < rpl;
    return broken_by(wrong ? bits(6, 5) : 0);
}

[[nodiscard]] inline Answer cs_type(Examined& x) {
    if (!counts<Index::cs>(x)) {
        return holds;
    }
    const std::uint32_t type = rights<Index::cs>(x).type;
    const bool good = is_accessed_code(type) || (type == 3 && unrestricted(x));
    return broken_by(good ? 0 : bits(3, 0));
}
[[nodiscard]] inline Answer ss_type(Examined& x) {
    const std::uint32_t type = rights<Index::ss>(x).type;
    return broken_by(counts<Index::ss>(x) && type != 3 && type != 7 ? bits(3, 0) : 0);
}
[[nodiscard]] inline Answer tr_type(Examined& x) {
    constexpr std::uint32_t busy_16_bit = 3;
    constexpr std::uint32_t busy = 11;
    const std::uint32_t type = rights<Index::tr>(x).type;
    const bool good =
        type == busy || (type == busy_16_bit && !x.has(EntryControl::ia32e_mode_guest));
    return broken_by(good ? 0 : bits(3, 0));
}
[[nodiscard]] inline Answer ldtr_type(Examined& x) {
    constexpr std::uint32_t ldt = 2;
    const bool wrong = counts<Index::ldtr>(x) && rights<Index::ldtr>(x).type != ldt;
    return broken_by(wrong ? bits(3, 0) : 0);
}

/// CS's privilege depends on its type, and on SS, which has the guest's CPL.
[[nodiscard]] inline Answer cs_dpl_of_data(Examined& x) {
    const auto cs = rights<Index::cs>(x);
    const bool wrong = counts<Index::cs>(x) && cs.type == 3 && cs.privilege_level != 0;
    return broken_by(wrong ? bits(6, 5) : 0);
}
[[nodiscard]] inline Answer cs_dpl_not_conforming(Examined& x) {
    const auto cs = rights<Index::cs>(x);
    if (!counts<Index::cs>(x) || (cs.type != 9 && cs.type != 11)) {
        return holds;
    }
    return broken_by(cs.privilege_level != rights<Index::ss>(x).privilege_level ? bits(6, 5) : 0);
}
[[nodiscard]] inline Answer cs_dpl_conforming(Examined& x) {
    const auto cs = rights<Index::cs>(x);
    if (!counts<Index::cs>(x) || (cs.type != 13 && cs.type != 15)) {
        return holds;
    }
    return broken_by(cs.privilege_level > rights<Index::ss>(x).privilege_level ? bits(6, 5) : 0);
}
[[nodiscard]] inline Answer ss_rpl(Examined& x) {
    if (virtual_8086(x) || unrestricted(x)) {
        return holds;
    }
    const auto ss = x.read(guest_es_selector, Index::ss).requested_privilege_level;
    return broken_by(
        ss != x.read(guest_es_selector, Index::cs).requested_privilege_level ? bits(1, 0) : 0);
}
/// The DPL rules for SS hold for an unusable SS, too: its DPL is the guest's CPL.
[[nodiscard]] inline Answer ss_dpl_equals_rpl(Examined& x) {
    if (virtual_8086(x) || unrestricted(x)) {
        return holds;
    }
    const bool wrong = rights<Index::ss>(x).privilege_level !=
                       x.read(guest_es_selector, Index::ss).requested_privilege_level;
    return broken_by(wrong ? bits(6, 5) : 0);
}
[[nodiscard]] inline Answer ss_dpl_0(Examined& x) {
    if (virtual_8086(x) || rights<Index::ss>(x).privilege_level == 0) {
        return holds;
    }
    const bool real_mode = !x.read(guest_cr0).has(arch::Cr0::protection_enable);
    return broken_by(real_mode || rights<Index::cs>(x).type == 3 ? bits(6, 5) : 0);
}
[[nodiscard]] inline Answer cs_default_size(Examined& x) {
    const auto cs = rights<Index::cs>(x);
    const bool wrong = counts<Index::cs>(x) && x.has(EntryControl::ia32e_mode_guest) &&
                       cs.long_mode != 0 && cs.default_size != 0;
    return broken_by(wrong ? bit(14) : 0);
}
[[nodiscard]] inline Answer tr_usable(Examined& x) {
    return broken_by(raw_rights<Index::tr>(x) & bit(16));
}

}  // namespace hvp::vmx::checks
