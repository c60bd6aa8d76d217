// What the rules for the guest's segment registers ask; guest_segments.hpp has their words.
// [SDM 3C 26.3.1.2 "Checks on Guest Segment Registers"]
#pragma once

#include "hypervisor/vmcs/entry_checks/entry_rule.hpp"

namespace hvp::vmx::checks {

using Index = SegmentIndex;

// ---- What the rules ask -----------------------------------------------------------------------

[[nodiscard]] inline bool virtual_8086(VmcsUnderTest& x) {
    return x.read(guest_rflags).has(arch::Rflags::virtual_8086);
}
template <Index s>
[[nodiscard]] arch::AccessRights rights(VmcsUnderTest& x) {
    return x.read(guest_es_rights, s);
}
template <Index s>
[[nodiscard]] std::uint64_t raw_rights(VmcsUnderTest& x) {
    return x.raw(of(guest_es_rights, s));
}
template <Index s>
[[nodiscard]] bool usable(VmcsUnderTest& x) {
    return rights<s>(x).unusable == 0;
}
/// Whether the parts of the access rights are checked one by one: not in virtual-8086 mode, and
/// not if the register is unusable. CS and TR always count as usable.
template <Index s>
[[nodiscard]] bool counts(VmcsUnderTest& x) {
    if constexpr (s == Index::tr) {
        return true;
    } else if constexpr (s == Index::ldtr) {
        return usable<s>(x);
    } else {
        return !virtual_8086(x) && (s == Index::cs || usable<s>(x));
    }
}
[[nodiscard]] inline bool unrestricted(VmcsUnderTest& x) {
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
[[nodiscard]] CheckResult base_of_8086(VmcsUnderTest& x) {
    return broken_if(virtual_8086(x) &&
                     x.raw(of(guest_es_base, s)) != x.raw(of(guest_es_selector, s)) << 4);
}
template <Index s>
[[nodiscard]] CheckResult limit_of_8086(VmcsUnderTest& x) {
    return broken_if(virtual_8086(x) && x.raw(of(guest_es_limit, s)) != 0xFFFF);
}
template <Index s>
[[nodiscard]] CheckResult rights_of_8086(VmcsUnderTest& x) {
    return virtual_8086(x) ? broken_by(raw_rights<s>(x) ^ 0xF3) : holds;
}

template <Index s>
[[nodiscard]] CheckResult base_canonical(VmcsUnderTest& x) {
    if (!x.is(Fact::has_intel_64) || (s == Index::ldtr && !usable<s>(x))) {
        return holds;
    }
    return broken_if(!x.is_canonical(x.raw(of(guest_es_base, s))));
}
template <Index s>
[[nodiscard]] CheckResult base_32_bits(VmcsUnderTest& x) {
    if (!x.is(Fact::has_intel_64) || (s != Index::cs && !usable<s>(x))) {
        return holds;
    }
    return broken_by(x.raw(of(guest_es_base, s)) & bits(63, 32));
}

template <Index s>
[[nodiscard]] CheckResult table_indicator_clear(VmcsUnderTest& x) {
    return counts<s>(x) ? broken_by(x.raw(of(guest_es_selector, s)) & bit(2)) : holds;
}

template <Index s, std::uint64_t mask>
[[nodiscard]] CheckResult rights_clear(VmcsUnderTest& x) {
    return counts<s>(x) ? broken_by(raw_rights<s>(x) & mask) : holds;
}
template <Index s, std::uint64_t mask>
[[nodiscard]] CheckResult rights_set(VmcsUnderTest& x) {
    return counts<s>(x) ? broken_by(~raw_rights<s>(x) & mask) : holds;
}

/// The limit counts bytes with G = 0, and pages of 4 KBytes less one byte with G = 1: what does not
/// fit the one has to be the other.
template <Index s>
[[nodiscard]] CheckResult bytes_need_g_0(VmcsUnderTest& x) {
    const bool ends_in_page = (x.raw(of(guest_es_limit, s)) & bits(11, 0)) != bits(11, 0);
    return counts<s>(x) && ends_in_page ? broken_by(raw_rights<s>(x) & bit(15)) : holds;
}
template <Index s>
[[nodiscard]] CheckResult pages_need_g_1(VmcsUnderTest& x) {
    const bool is_large = (x.raw(of(guest_es_limit, s)) & bits(31, 20)) != 0;
    return counts<s>(x) && is_large ? broken_by(~raw_rights<s>(x) & bit(15)) : holds;
}

template <Index s>
[[nodiscard]] CheckResult accessed(VmcsUnderTest& x) {
    return counts<s>(x) ? broken_by(~raw_rights<s>(x) & bit(0)) : holds;
}
template <Index s>
[[nodiscard]] CheckResult readable(VmcsUnderTest& x) {
    const bool wrong = counts<s>(x) && is_code(rights<s>(x).type) && (rights<s>(x).type & 2) == 0;
    return broken_by(wrong ? bit(1) : 0);
}
/// DS, ES, FS, GS: privilege of the descriptor against that of the selector.
template <Index s>
[[nodiscard]] CheckResult dpl_not_below_rpl(VmcsUnderTest& x) {
    if (!counts<s>(x) || unrestricted(x)) {
        return holds;
    }
    constexpr std::uint32_t last_checked_type = 11;
    const auto part = rights<s>(x);
    const auto rpl = x.read(guest_es_selector, s).requested_privilege_level;
    const bool wrong = part.type <= last_checked_type && part.privilege_level < rpl;
    return broken_by(wrong ? bits(6, 5) : 0);
}

[[nodiscard]] inline CheckResult cs_type(VmcsUnderTest& x) {
    if (!counts<Index::cs>(x)) {
        return holds;
    }
    const std::uint32_t type = rights<Index::cs>(x).type;
    const bool good = is_accessed_code(type) || (type == 3 && unrestricted(x));
    return broken_by(good ? 0 : bits(3, 0));
}
[[nodiscard]] inline CheckResult ss_type(VmcsUnderTest& x) {
    const std::uint32_t type = rights<Index::ss>(x).type;
    return broken_by(counts<Index::ss>(x) && type != 3 && type != 7 ? bits(3, 0) : 0);
}
[[nodiscard]] inline CheckResult tr_type(VmcsUnderTest& x) {
    constexpr std::uint32_t busy_16_bit = 3;
    constexpr std::uint32_t busy = 11;
    const std::uint32_t type = rights<Index::tr>(x).type;
    const bool good =
        type == busy || (type == busy_16_bit && !x.has(EntryControl::ia32e_mode_guest));
    return broken_by(good ? 0 : bits(3, 0));
}
[[nodiscard]] inline CheckResult ldtr_type(VmcsUnderTest& x) {
    constexpr std::uint32_t ldt = 2;
    const bool wrong = counts<Index::ldtr>(x) && rights<Index::ldtr>(x).type != ldt;
    return broken_by(wrong ? bits(3, 0) : 0);
}

/// CS's privilege depends on its type, and on SS, which has the guest's CPL.
[[nodiscard]] inline CheckResult cs_dpl_of_data(VmcsUnderTest& x) {
    const auto cs = rights<Index::cs>(x);
    const bool wrong = counts<Index::cs>(x) && cs.type == 3 && cs.privilege_level != 0;
    return broken_by(wrong ? bits(6, 5) : 0);
}
[[nodiscard]] inline CheckResult cs_dpl_not_conforming(VmcsUnderTest& x) {
    const auto cs = rights<Index::cs>(x);
    if (!counts<Index::cs>(x) || (cs.type != 9 && cs.type != 11)) {
        return holds;
    }
    return broken_by(cs.privilege_level != rights<Index::ss>(x).privilege_level ? bits(6, 5) : 0);
}
[[nodiscard]] inline CheckResult cs_dpl_conforming(VmcsUnderTest& x) {
    const auto cs = rights<Index::cs>(x);
    if (!counts<Index::cs>(x) || (cs.type != 13 && cs.type != 15)) {
        return holds;
    }
    return broken_by(cs.privilege_level > rights<Index::ss>(x).privilege_level ? bits(6, 5) : 0);
}
[[nodiscard]] inline CheckResult ss_rpl(VmcsUnderTest& x) {
    if (virtual_8086(x) || unrestricted(x)) {
        return holds;
    }
    const auto ss = x.read(guest_es_selector, Index::ss).requested_privilege_level;
    return broken_by(
        ss != x.read(guest_es_selector, Index::cs).requested_privilege_level ? bits(1, 0) : 0);
}
/// The DPL rules for SS hold for an unusable SS, too: its DPL is the guest's CPL.
[[nodiscard]] inline CheckResult ss_dpl_equals_rpl(VmcsUnderTest& x) {
    if (virtual_8086(x) || unrestricted(x)) {
        return holds;
    }
    const bool wrong = rights<Index::ss>(x).privilege_level !=
                       x.read(guest_es_selector, Index::ss).requested_privilege_level;
    return broken_by(wrong ? bits(6, 5) : 0);
}
[[nodiscard]] inline CheckResult ss_dpl_0(VmcsUnderTest& x) {
    if (virtual_8086(x) || rights<Index::ss>(x).privilege_level == 0) {
        return holds;
    }
    const bool real_mode = !x.read(guest_cr0).has(arch::Cr0::protection_enable);
    return broken_by(real_mode || rights<Index::cs>(x).type == 3 ? bits(6, 5) : 0);
}
[[nodiscard]] inline CheckResult cs_default_size(VmcsUnderTest& x) {
    const auto cs = rights<Index::cs>(x);
    const bool wrong = counts<Index::cs>(x) && x.has(EntryControl::ia32e_mode_guest) &&
                       cs.long_mode != 0 && cs.default_size != 0;
    return broken_by(wrong ? bit(14) : 0);
}
[[nodiscard]] inline CheckResult tr_usable(VmcsUnderTest& x) {
    return broken_by(raw_rights<Index::tr>(x) & bit(16));
}

}  // namespace hvp::vmx::checks
