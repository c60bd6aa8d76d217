#include "tool/explain/texts/value_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "hypervisor/ept/entry.hpp"
#include "hypervisor/ept/misconfiguration.hpp"
#include "hypervisor/vmcs/exit_reason.hpp"
#include "hypervisor/vmcs/instruction_error.hpp"
#include "hypervisor/vmcs/names/exception_names.hpp"
#include "tool/record/words/exit_details.hpp"

namespace hvp::tool {
namespace {

using vmx::Shape;

std::string memory_type(std::uint64_t type) {
    constexpr std::array<std::string_view, 8> names{"UC", "WC", "reserved", "reserved",
                                                    "WT", "WP", "WB",       "UC-"};
    return type < names.size() ? std::string{names[type]} : fmt::format("reserved ({})", type);
}

std::string pat_words(std::uint64_t pat) {
    std::string text;
    for (unsigned entry = 0; entry < 8; ++entry) {
        text += fmt::format("{}{}", entry == 0 ? "" : " ", memory_type(pat >> 8 * entry & 0xFF));
    }
    return text;
}

// [SDM 3C 24.6.11 "Extended-Page-Table Pointer (EPTP)", Table 24-8]
std::string ept_pointer_words(std::uint64_t pointer) {
    return fmt::format("tables {}, walk length {}{}, PML4 at {:#x}", memory_type(pointer & 7),
                       (pointer >> 3 & 7) + 1,
                       (pointer >> 6 & 1) != 0 ? ", accessed and dirty flags" : "",
                       pointer & 0x000F'FFFF'FFFF'F000);
}

std::string activity_words(std::uint64_t state) {
    constexpr std::array<std::string_view, 4> names{"active", "HLT", "shutdown", "wait-for-SIPI"};
    return state < names.size() ? std::string{names[state]} : "no such state";
}

std::string exit_reason_words(std::uint64_t value) {
    const auto reason = std::bit_cast<vmx::ExitReasonField>(static_cast<std::uint32_t>(value));
    return fmt::format("exit {} {}{}", static_cast<unsigned>(reason.basic_reason),
                       vmx::exit_reason_name(reason.basic_reason),
                       reason.entry_failure != 0 ? "; VM entry failed" : "");
}

std::string exception_bitmap_words(std::uint64_t bitmap) {
    std::string text;
    for (unsigned vector = 0; vector < 32; ++vector) {
        if ((bitmap >> vector & 1) != 0) {
            text += (text.empty() ? "" : " ") + exception_name(vector);
        }
    }
    return text;
}

std::string selector_words(std::uint64_t selector) {
    return fmt::format("{} {}, RPL {}", (selector & 4) != 0 ? "LDT" : "GDT", selector >> 3,
                       selector & 3);
}

// [SDM 3A 3.5 "System Descriptor Types"], table 3-2
std::string system_type(std::uint32_t type) {
    switch (type) {
        case 1:
            return "available 16-bit TSS";
        case 2:
            return "LDT";
        case 3:
            return "busy 16-bit TSS";
        case 9:
            return "available TSS";
        case 11:
            return "busy TSS";
        default:
            return fmt::format("system type {}", type);
    }
}

// [SDM 3A 3.4.5.1 "Code- and Data-Segment Descriptor Types"], table 3-1
std::string segment_type(const arch::AccessRights& rights) {
    const std::uint32_t type = rights.type;
    std::string text;
    if ((type & 8) != 0) {
        text = rights.long_mode != 0      ? "64-bit code"
               : rights.default_size != 0 ? "32-bit code"
                                          : "16-bit code";
        text += (type & 4) != 0 ? ", conforming" : "";
        text += (type & 2) != 0 ? ", readable" : ", execute-only";
    } else {
        text = (type & 2) != 0 ? "writable data" : "read-only data";
        text += (type & 4) != 0 ? ", expand-down" : "";
    }
    return text + ((type & 1) != 0 ? ", accessed" : ", not accessed");
}

std::string entry_at_level(ept::Level level, std::string_view name, std::uint64_t raw) {
    const ept::Entry entry{raw};
    const ept::Limits limits{.capability = std::bit_cast<ept::Capability>(0x0F01'0633'4141ULL),
                             .physical_address_bits = 40};
    const auto rights = entry.rights();
    std::string text = fmt::format("{:<16}", name);
    if (!entry.is_present()) {
        return text + "not present: it allows nothing";
    }
    text += fmt::format("{}{}{}", rights.read ? 'r' : '-', rights.write ? 'w' : '-',
                        rights.execute ? 'x' : '-');
    if (entry.maps_page(level)) {
        text += fmt::format(", maps a page at {:#x}, {}{}", entry.leaf(level).physical.raw(),
                            memory_type(entry.memory_type_bits()),
                            (raw >> 6 & 1) != 0 ? ", ignores the guest's PAT" : "");
    } else {
        text += fmt::format(", refers to a table at {:#x}", raw & 0x000F'FFFF'FFFF'F000);
    }
    const auto wrong = ept::misconfiguration_of(level, entry, limits);
    return wrong == ept::Misconfiguration::none
               ? text
               : text + fmt::format("; misconfigured: {}", ept::name_of(wrong));
}

// A capability MSR for controls: bits that must be 1, and bits that may be.
std::string capability_words(std::uint64_t value) {
    return fmt::format("must be 1: {:#x}; may be 1: {:#x}", value & 0xFFFF'FFFF, value >> 32);
}

bool is_control_capability(vmx::checks::Item item) {
    return item.kind == vmx::checks::Item::Kind::msr &&
           ((item.number >= 0x481 && item.number <= 0x484) ||
            (item.number >= 0x48B && item.number <= 0x490 && item.number != 0x48C));
}

}  // namespace

std::string bit_words(std::span<const vmx::BitName> names, std::uint64_t value) {
    // "HLT exiting, use TPR shadow", but "PE NE PG".
    const bool has_blanks = std::ranges::any_of(
        names, [](const vmx::BitName& one) { return std::string_view{one.name}.contains(' '); });
    std::string text;
    for (const vmx::BitName& one : names) {
        if ((value & one.mask) != 0) {
            text += fmt::format("{}{}", text.empty() ? "" : has_blanks ? ", " : " ", one.name);
        }
    }
    const std::uint64_t nameless = value & ~vmx::all_bits(names);
    return nameless == 0
               ? text
               : text + fmt::format("{}{}", text.empty() ? "" : "; ", bit_numbers(nameless));
}

std::span<const vmx::BitName> names_of_bits(Shape shape) {
    switch (shape) {
        case Shape::pin_controls:
            return vmx::pin_control_names;
        case Shape::primary_controls:
            return vmx::primary_control_names;
        case Shape::secondary_controls:
            return vmx::secondary_control_names;
        case Shape::exit_controls:
            return vmx::exit_control_names;
        case Shape::entry_controls:
            return vmx::entry_control_names;
        case Shape::vm_functions:
            return vmx::vm_function_names;
        case Shape::cr0:
            return vmx::cr0_names;
        case Shape::cr4:
            return vmx::cr4_names;
        case Shape::rflags:
            return vmx::rflags_names;
        case Shape::efer:
            return vmx::efer_names;
        case Shape::debugctl:
            return vmx::debugctl_names;
        case Shape::interruptibility:
            return vmx::interruptibility_names;
        case Shape::pending_debug:
            return vmx::pending_debug_names;
        default:
            return {};
    }
}

std::string value_words(Shape shape, std::uint64_t value) {
    switch (shape) {
        case Shape::selector:
            return selector_words(value);
        case Shape::access_rights:
            return access_rights_words(static_cast<std::uint32_t>(value));
        case Shape::pat:
            return pat_words(value);
        case Shape::ept_pointer:
            return ept_pointer_words(value);
        case Shape::interruption:
            return interruption_words(static_cast<std::uint32_t>(value));
        case Shape::activity:
            return activity_words(value);
        case Shape::exception_bitmap:
            return exception_bitmap_words(value);
        case Shape::exit_reason:
            return exit_reason_words(value);
        case Shape::instruction_error:
            return vmx::instruction_error_name(static_cast<std::uint32_t>(value));
        default:
            return bit_words(names_of_bits(shape), names_of_bits(shape).empty() ? 0 : value);
    }
}

vmx::Shape shape_of(vmx::checks::Item item) {
    const auto* field = item.kind == vmx::checks::Item::Kind::field
                            ? vmx::find_field(static_cast<std::uint32_t>(item.number))
                            : nullptr;
    return field != nullptr ? field->shape : Shape::number;
}

std::string item_words(vmx::checks::Item item, std::uint64_t value) {
    return is_control_capability(item) ? capability_words(value)
                                       : value_words(shape_of(item), value);
}

std::string access_rights_words(std::uint32_t raw) {
    const auto rights = std::bit_cast<arch::AccessRights>(raw);
    std::string text = rights.code_or_data != 0 ? segment_type(rights) : system_type(rights.type);
    text += fmt::format("; DPL {}", static_cast<unsigned>(rights.privilege_level));
    text += rights.present != 0 ? "; present" : "; not present";
    const auto add = [&](bool holds, std::string_view words) {
        text += holds ? fmt::format("; {}", words) : "";
    };
    add(rights.long_mode != 0, "L");
    add(rights.default_size != 0, "D/B");
    add(rights.granularity != 0, "G");
    if (rights.unusable != 0) {
        text = fmt::format("unusable (DPL {})", static_cast<unsigned>(rights.privilege_level));
    }
    add(rights.reserved_11_8 != 0, "reserved bits 11:8");
    add(rights.reserved_31_17 != 0, "reserved bits 31:17");
    return text;
}

std::string interruption_words(std::uint32_t raw) {
    constexpr std::array<std::string_view, 8> types{
        "external interrupt", "reserved type 1",    "NMI",
        "hardware exception", "software interrupt", "privileged software exception",
        "software exception", "other event"};
    const auto event = std::bit_cast<vmx::InterruptionInformation>(raw);
    const std::uint32_t vector = event.vector;
    const bool is_exception = event.type == 3 || event.type == 5 || event.type == 6;
    std::string text = event.valid != 0 ? "" : "not valid: nothing; else ";
    text += types[event.type];
    text += fmt::format(", vector {}", vector);
    if (is_exception && !vmx::exception_mnemonic(vector).empty()) {
        text += fmt::format(" ({})", exception_name(vector));
    }
    text += event.has_error_code != 0 ? ", with error code" : "";
    text += event.nmi_unblocking != 0 ? ", bit 12 (NMI unblocking)" : "";
    text += event.reserved_30_13 != 0 ? ", reserved bits 30:13" : "";
    return event.valid == 0 && raw == 0 ? "none" : text;
}

std::string ept_entry_words(std::uint64_t entry) {
    return entry_at_level(ept::Level::pml4, "PML4 entry", entry) + "\n" +
           entry_at_level(ept::Level::pointers, "PDPT entry", entry) + "\n" +
           entry_at_level(ept::Level::directory, "directory entry", entry) + "\n" +
           entry_at_level(ept::Level::page_table, "table entry", entry) + "\n";
}

std::string bit_numbers(std::uint64_t bits) {
    std::vector<std::string> parts;
    for (unsigned bit = 0; bit < 64;) {
        if ((bits >> bit & 1) == 0) {
            ++bit;
            continue;
        }
        unsigned last = bit;
        while (last < 63 && (bits >> (last + 1) & 1) != 0) {
            ++last;
        }
        parts.push_back(last == bit ? fmt::format("{}", bit) : fmt::format("{}:{}", last, bit));
        bit = last + 1;
    }
    const bool one = std::popcount(bits) == 1;
    return fmt::format("{} {}", one ? "bit" : "bits", fmt::join(parts, ", "));
}

std::string named_bits(vmx::checks::Item item, std::uint64_t bits) {
    const std::string numbers = bit_numbers(bits);
    const auto names = names_of_bits(shape_of(item));
    const std::uint64_t named = bits & vmx::all_bits(names);
    const std::string words = bit_words(names, named);
    return named == 0 || words == numbers ? numbers : fmt::format("{} ({})", numbers, words);
}

}  // namespace hvp::tool
