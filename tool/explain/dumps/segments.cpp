#include "tool/explain/dumps/segments.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "hypervisor/vmcs/fields.hpp"
#include "hypervisor/vmcs/names/field_names.hpp"
#include "tool/base/text.hpp"
#include "tool/explain/dumps/name_words.hpp"

namespace hvp::tool {
namespace {

using vmx::SegmentIndex;

struct SegmentName {
    std::string_view name;
    SegmentIndex index;
};
constexpr auto segment_names = std::to_array<SegmentName>({
    {"es", SegmentIndex::es},
    {"cs", SegmentIndex::cs},
    {"ss", SegmentIndex::ss},
    {"ds", SegmentIndex::ds},
    {"fs", SegmentIndex::fs},
    {"gs", SegmentIndex::gs},
    {"ldtr", SegmentIndex::ldtr},
    {"ldt", SegmentIndex::ldtr},
    {"tr", SegmentIndex::tr},
    {"tss", SegmentIndex::tr},
});

// The host area has selectors, and the bases that a VM exit cannot take from descriptors.
// [SDM 3C 24.5 "Host-State Area"]
std::optional<SegmentFields> host_fields(std::string_view name) {
    struct HostSegment {
        std::string_view name;
        SegmentFields fields;
    };
    static constexpr auto all = std::to_array<HostSegment>({
        {"es", {vmx::host_es_selector.encoding, 0, 0, 0}},
        {"cs", {vmx::host_cs_selector.encoding, 0, 0, 0}},
        {"ss", {vmx::host_ss_selector.encoding, 0, 0, 0}},
        {"ds", {vmx::host_ds_selector.encoding, 0, 0, 0}},
        {"fs", {vmx::host_fs_selector.encoding, 0, 0, vmx::host_fs_base.encoding}},
        {"gs", {vmx::host_gs_selector.encoding, 0, 0, vmx::host_gs_base.encoding}},
        {"tr", {vmx::host_tr_selector.encoding, 0, 0, vmx::host_tr_base.encoding}},
        {"gdtr", {0, 0, 0, vmx::host_gdtr_base.encoding}},
        {"gdt", {0, 0, 0, vmx::host_gdtr_base.encoding}},
        {"idtr", {0, 0, 0, vmx::host_idtr_base.encoding}},
        {"idt", {0, 0, 0, vmx::host_idtr_base.encoding}},
    });
    const auto* const found = std::ranges::find(all, name, &HostSegment::name);
    return found == all.end() ? std::nullopt : std::optional{found->fields};
}

void set(ImageBuilder& builder, std::uint32_t encoding, const WrittenNumber& number) {
    if (const auto named = item_of_encoding(encoding); named && encoding != 0) {
        builder.set(*named, vmx::find_field(encoding)->name, number);
    }
}

// Rights that are one bit of Table 24-2, or a part of several.
struct RightsPart {
    std::string_view key;
    unsigned shift;
    std::uint64_t mask;
};
constexpr auto rights_parts = std::to_array<RightsPart>({
    {"type", 0, 0xF},
    {"s", 4, 1},
    {"dpl", 5, 3},
    {"p", 7, 1},
    {"present", 7, 1},
    {"avl", 12, 1},
    {"l", 13, 1},
    {"db", 14, 1},
    {"d", 14, 1},
    {"g", 15, 1},
    {"unusable", 16, 1},
});

// The second doubleword of a descriptor, without the parts of base and limit.
// [SDM 3A 3.4.5 "Segment Descriptors", Figure 3-8]
std::uint64_t rights_of_descriptor(std::uint64_t flags) {
    constexpr std::uint64_t rights_bits = 0xF0FF;
    constexpr std::uint64_t present = 0x80;
    constexpr std::uint64_t unusable = 0x1'0000;
    const std::uint64_t rights = flags >> 8 & rights_bits;
    return (rights & present) != 0 ? rights : rights | unusable;
}

std::vector<WrittenNumber> numbers_of(std::string_view text) {
    constexpr std::size_t most = 12;
    std::vector<WrittenNumber> numbers;
    while (numbers.size() < most) {
        text.remove_prefix(std::min(text.find_first_not_of(" \t,/"), text.size()));
        const std::string_view word = text.substr(0, text.find_first_of(" \t,/"));
        const auto number = written_number(word);
        if (word.empty() || !number) {
            break;
        }
        numbers.push_back(*number);
        text.remove_prefix(word.size());
    }
    return numbers;
}

WrittenNumber exactly(std::uint64_t value) {
    return {value, {}, false};
}

// A descriptor table: base, limit.
bool take_table(const SegmentFields& fields, const std::vector<WrittenNumber>& n,
                ImageBuilder& builder) {
    set(builder, fields.base, n[0]);
    set(builder, fields.limit, n[1]);
    return true;
}

// QEMU: selector, base, limit, descriptor; base and limit of a table.
bool take_emulators(const SegmentFields& fields, const std::vector<WrittenNumber>& n,
                    ImageBuilder& builder) {
    const bool is_table = fields.selector == 0;
    if (n.size() < (is_table ? 2U : 4U)) {
        return false;
    }
    builder.mark_as_guests_view();
    if (is_table) {
        return take_table(fields, n, builder);
    }
    set(builder, fields.selector, n[0]);
    set(builder, fields.base, n[1]);
    set(builder, fields.limit, n[2]);
    set(builder, fields.rights, exactly(rights_of_descriptor(n[3].value)));
    return true;
}

// Xen and KVM: selector, rights, limit, base; limit and base of a table.
bool take_kernels(const SegmentFields& fields, const std::vector<WrittenNumber>& n,
                  ImageBuilder& builder) {
    const bool is_table = fields.selector == 0;
    if (n.size() != (is_table ? 2U : 4U)) {
        return false;
    }
    if (!is_table) {
        set(builder, fields.selector, n[0]);
        set(builder, fields.rights, n[1]);
    }
    set(builder, fields.limit, n[is_table ? 0 : 2]);
    set(builder, fields.base, n[is_table ? 1 : 3]);
    return true;
}

// bhyve: base, limit, rights of `desc`.
bool take_descriptor(const SegmentFields& fields, const std::vector<WrittenNumber>& n,
                     ImageBuilder& builder) {
    if (n.size() < 2) {
        return false;
    }
    builder.mark_as_guests_view();
    set(builder, fields.base, n[0]);
    set(builder, fields.limit, n[1]);
    if (n.size() > 2) {
        set(builder, fields.rights, n[2]);
    }
    return true;
}

// kvmtool: selector, base, limit, type, then P, DPL, D/B, S, L, G and AVL; a table's base, limit.
bool take_table_row(const SegmentFields& fields, const std::vector<WrittenNumber>& n,
                    ImageBuilder& builder) {
    const bool is_table = fields.selector == 0;
    if (n.size() < (is_table ? 2U : 11U)) {
        return false;
    }
    builder.mark_as_guests_view();
    if (is_table) {
        return take_table(fields, n, builder);
    }
    constexpr std::array<std::string_view, 8> keys{"type", "p", "dpl", "db", "s", "l", "g", "avl"};
    SegmentParts parts;
    parts.take("selector", n[0]);
    parts.take("base", n[1]);
    parts.take("limit", n[2]);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        parts.take(keys[i], n[3 + i]);
    }
    parts.give(fields, builder);
    return true;
}

}  // namespace

std::optional<SegmentFields> segment_fields(std::string_view name, Side side) {
    // Asked for every word of a text.
    constexpr std::size_t shortest = 2;
    constexpr std::size_t longest = 8;  // with what a log puts around it
    if (name.size() < shortest || name.size() > longest) {
        return std::nullopt;
    }
    const std::string wanted = lower_letters(name);
    if (side == Side::host) {
        return host_fields(wanted);
    }
    if (wanted == "gdtr" || wanted == "gdt") {
        return SegmentFields{0, 0, vmx::guest_gdtr_limit.encoding, vmx::guest_gdtr_base.encoding};
    }
    if (wanted == "idtr" || wanted == "idt") {
        return SegmentFields{0, 0, vmx::guest_idtr_limit.encoding, vmx::guest_idtr_base.encoding};
    }
    const auto* const found = std::ranges::find(segment_names, wanted, &SegmentName::name);
    if (found == segment_names.end()) {
        return std::nullopt;
    }
    return SegmentFields{
        nth(vmx::guest_es_selector, found->index), nth(vmx::guest_es_rights, found->index),
        nth(vmx::guest_es_limit, found->index), nth(vmx::guest_es_base, found->index)};
}

bool SegmentParts::take(std::string_view key, const WrittenNumber& number) {
    const std::string name = lower_letters(key);
    if (name == "sel" || name == "selector") {
        selector_ = number;
    } else if (name == "lim" || name == "limit" || name == "size") {
        limit_ = number;
    } else if (name == "base" || name == "addr" || name == "address") {
        base_ = number;
    } else if (name == "attr" || name == "ar" || name == "rights" || name == "accessrights" ||
               name == "arbytes" || name == "attributes" || name == "flags" || name == "access") {
        rights_ = number;
    } else if (name == "dh") {
        rights_ =
            exactly(rights_of_descriptor(number.value));  // Bochs: the descriptor's upper half
    } else {
        const auto* const part = std::ranges::find(rights_parts, name, &RightsPart::key);
        if (part == rights_parts.end() || number.value > part->mask) {
            return false;
        }
        bits_ = (bits_ & ~(part->mask << part->shift)) | number.value << part->shift;
        ++bits_taken_;
    }
    return true;
}

void SegmentParts::take_packed_rights(const WrittenNumber& number) {
    rights_ = number;
    may_be_packed_ = true;
}

// [SDM 3C 24.4.1 "Guest Register State", Table 24-2] has bits 11:8 reserved.
std::uint64_t SegmentParts::unpacked_rights() const {
    constexpr std::uint64_t low = 0xFF;
    constexpr std::uint64_t middle = 0xF00;
    const std::uint64_t rights = rights_->value;
    const std::uint64_t bits_19_16_of_limit = limit_ ? limit_->value >> 16 & 0xF : 0;
    if ((rights & middle) == 0 || rights > 0xFFFF) {
        return rights;
    }
    if (rights <= (low | middle)) {
        return (rights & low) | (rights & middle) << 4;
    }
    return (rights & middle) >> 8 == bits_19_16_of_limit ? rights & ~middle : rights;
}

void SegmentParts::give(const SegmentFields& fields, ImageBuilder& builder) {
    const auto set_part = [&](std::uint32_t encoding, const std::optional<WrittenNumber>& part) {
        if (part && encoding != 0) {
            set(builder, encoding, *part);
        }
    };
    constexpr std::uint64_t present = 0x80;
    constexpr std::uint64_t unusable = 0x1'0000;
    if (may_be_packed_ && rights_ && (rights_->value & present) == 0) {
        rights_ = exactly(rights_->value | unusable);  // no VMCS: it has no bit for that
    } else if (may_be_packed_ && rights_ && unpacked_rights() != rights_->value) {
        builder.add_note(
            "The segments' attributes are packed, as a debugger prints them: bits 11:8 are those "
            "of "
            "the limit, or AVL, L, D/B and G. The access rights were made of them.");
        rights_ = exactly(unpacked_rights());
    }
    set_part(fields.selector, selector_);
    set_part(fields.limit, limit_);
    set_part(fields.base, base_);
    set_part(fields.rights, rights_);
    constexpr unsigned all_that_matter = 7;  // type, S, DPL, P, L, D/B, G
    if (!rights_ && bits_taken_ >= all_that_matter && fields.rights != 0) {
        builder.mark_as_guests_view();
        set(builder, fields.rights, exactly(bits_));
    }
    *this = {};
}

bool SegmentParts::is_empty() const {
    return !selector_ && !limit_ && !base_ && !rights_ && bits_taken_ == 0;
}

bool read_segment_in_order(std::string_view line, ImageBuilder& builder) {
    const std::size_t name_end = std::min(line.find_first_of(" \t=:["), line.size());
    const auto fields = segment_fields(line.substr(0, name_end), Side::guest);
    if (!fields) {
        return false;
    }
    std::string_view rest = trimmed(line.substr(name_end));
    const bool has_index = rest.starts_with("desc[") || rest.starts_with('[');
    if (has_index) {
        const bool is_descriptor = rest.starts_with("desc");
        rest.remove_prefix(std::min(rest.find(']') + 1, rest.size()));
        const auto numbers = numbers_of(rest);
        if (is_descriptor || fields->selector == 0) {
            return take_descriptor(*fields, numbers, builder);
        }
        if (numbers.size() == 1) {
            set(builder, fields->selector, numbers[0]);
        }
        return numbers.size() == 1;
    }
    const char mark = rest.empty() ? '\0' : rest.front();
    if (mark == '=' || mark == ':') {
        rest.remove_prefix(1);
    }
    const auto numbers = numbers_of(rest);
    return mark == '='   ? take_emulators(*fields, numbers, builder)
           : mark == ':' ? take_kernels(*fields, numbers, builder)
                         : take_table_row(*fields, numbers, builder);
}

}  // namespace hvp::tool
