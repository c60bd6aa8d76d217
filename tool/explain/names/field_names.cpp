#include "tool/explain/names/field_names.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <span>
#include <vector>

#include "hypervisor/vmcs/names/field_names.hpp"
#include "tool/base/nearest.hpp"
#include "tool/explain/dumps/numbers.hpp"
#include "tool/explain/names/item_names.hpp"

namespace hvp::tool {
namespace {

using vmx::checks::Item;

bool is_digit(char letter) {
    return std::isdigit(static_cast<unsigned char>(letter)) != 0;
}
bool is_lower(char letter) {
    return std::islower(static_cast<unsigned char>(letter)) != 0;
}
bool is_upper(char letter) {
    return std::isupper(static_cast<unsigned char>(letter)) != 0;
}

// Words in upper case: they end at what is neither letter nor digit, and before a hump.
std::vector<std::string> words_of(std::string_view name) {
    std::vector<std::string> words;
    bool goes_on = false;
    char before = '\0';
    for (std::size_t i = 0; i < name.size(); ++i) {
        const char letter = name[i];
        if (std::isalnum(static_cast<unsigned char>(letter)) == 0) {
            goes_on = false;
            continue;
        }
        // "guestCs", and "Ia32Debugctl"
        const bool starts = is_digit(before) && i + 1 < name.size() && is_lower(name[i + 1]);
        const bool hump = is_upper(letter) && (is_lower(before) || starts);
        if (!goes_on || hump) {
            words.emplace_back();
        }
        words.back() += static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
        goes_on = true;
        before = letter;
    }
    return words;
}

// Words that only say "this is a VMCS field", or that names have or have not as their authors like.
constexpr auto decoration = std::to_array<std::string_view>(
    {"VMCS",      "VMX",   "VMCS16", "VMCS32",      "VMCS64",   "16BIT", "32BIT",   "64BIT",
     "16",        "32",    "64",     "NATURAL",     "WIDTH",    "N",     "K",       "IA32",
     "MSR",       "FIELD", "FIELDS", "FULL",        "ADDRESS",  "ADDR",  "POINTER", "PTR",
     "VM",        "CTRL",  "CTRLS",  "CONTROL",     "CONTROLS", "CTLS",  "CTL",     "EXEC",
     "EXECUTION", "BASED", "STATE",  "INFORMATION", "INFO",     "OF",    "RO",      "REGISTER",
     "VALUE",     "PAGE",  "VMEXEC", "VMM",         "BYTES",    "THE"});

// Different words for the same thing.
struct Synonym {
    std::string_view word;
    std::string_view means;
};
constexpr auto synonyms = std::to_array<Synonym>({
    {"SEL", "SELECTOR"},
    {"AR", "RIGHTS"},
    {"ATTR", "RIGHTS"},
    {"ATTRIBUTES", "RIGHTS"},
    {"LIM", "LIMIT"},
    {"CPU", "PRIMARY"},
    {"PROC", "PROCESSOR"},
    {"PRI", "PRIMARY"},
    {"SEC", "SECONDARY"},
    {"PROCBASED", "PROCESSOR"},
    {"PINBASED", "PIN"},
    {"PROC2", "SECONDARY"},
    {"INTR", "INTERRUPTION"},
    {"INTERRUPT", "INTERRUPTION"},
    {"INT", "INTERRUPTION"},
    {"DBG", "DEBUG"},
    {"EXCEPTIONS", "EXCEPTION"},
    {"LEN", "LENGTH"},
    {"INSTR", "INSTRUCTION"},
    {"ERR", "ERROR"},
    {"ERRCODE", "ERRORCODE"},
    {"EFLAGS", "RFLAGS"},
    {"PDPTR0", "PDPTE0"},
    {"PDPTR1", "PDPTE1"},
    {"PDPTR2", "PDPTE2"},
    {"PDPTR3", "PDPTE3"},
    {"VMENTRY", "ENTRY"},
    {"VMEXIT", "EXIT"},
    {"EPTP", "EPT"},
    {"BITMAPS", "BITMAP"},
    {"VECTOR", "NV"},
    {"NOTIFICATION", ""},
    {"PROCESS", ""},
    {"DESCRIPTOR", "DESC"},
    {"VIRT", "VIRTUAL"},
    {"ID", "IDENTIFIER"},
    {"FUNC", "FUNCTION"},
    {"FUNCTIONS", "FUNCTION"},
    {"PENDINGDEBUG", "PENDING"},
    {"VMCSLINK", "LINK"},
    {"VPID", "VIRTUALPROCESSORIDENTIFIER"},
});

// The letters that a name comes down to.
std::string letters_of(std::string_view name) {
    std::string letters;
    for (const std::string& word : words_of(name)) {
        if (std::ranges::find(decoration, word) != decoration.end()) {
            continue;
        }
        const auto* const same = std::ranges::find(synonyms, word, &Synonym::word);
        letters += same != synonyms.end() ? same->means : std::string_view{word};
    }
    return letters;
}

// Names that come down to other letters than the SDM's and Linux' do.
struct Alias {
    std::string_view name;
    std::uint32_t encoding;
};
constexpr auto aliases = std::to_array<Alias>({
    {"Virtual processor ID", vmx::virtual_processor_identifier.encoding},
    {"VPID", vmx::virtual_processor_identifier.encoding},
    {"Primary processor-based controls", vmx::primary_processor_based_controls.encoding},
    {"Processor-based controls", vmx::primary_processor_based_controls.encoding},
    {"VMCS_CTRL_PROCESSOR_BASED_VM_EXECUTION_CONTROLS",
     vmx::primary_processor_based_controls.encoding},
    {"Secondary processor-based controls", vmx::secondary_processor_based_controls.encoding},
    {"CPU_BASED_VM_EXEC_CONTROL2", vmx::secondary_processor_based_controls.encoding},
    {"PROC_BASED_VMEXEC_CTL2", vmx::secondary_processor_based_controls.encoding},
    {"TERTIARY_VM_EXEC_CONTROL", vmx::tertiary_processor_based_controls.encoding},
    {"VMCS_CTRL_PRIMARY_VMEXIT_CONTROLS", vmx::exit_controls.encoding},
    {"VM_EXIT_INTERRUPTION_INFO", vmx::exit_interruption_information.encoding},
    {"EPT_POINTER", vmx::ept_pointer.encoding},
    {"EPTP", vmx::ept_pointer.encoding},
    {"GUEST_INTERRUPTIBILITY_STATE", vmx::guest_interruptibility_state.encoding},
    {"GUEST_PENDING_DEBUG_EXCEPTIONS", vmx::guest_pending_debug_exceptions.encoding},
    {"GUEST_LINK_POINTER", vmx::guest_vmcs_link_pointer.encoding},
    {"GUEST_VMCS_LINK_POINTER", vmx::guest_vmcs_link_pointer.encoding},
    {"GUEST_DEBUGCTL", vmx::guest_debugctl.encoding},
    {"VM_EXIT_QUALIFICATION", vmx::exit_qualification.encoding},
    {"EXIT_REASON", vmx::exit_reason.encoding},
    {"VM_EXIT_REASON", vmx::exit_reason.encoding},
    {"GUEST_PREEMPTION_TIMER", vmx::guest_preemption_timer_value.encoding},
    {"GUEST_ACTIVITY", vmx::guest_activity_state.encoding},
    {"INSTRUCTION_ERROR", vmx::vm_instruction_error.encoding},
    {"VM_INSTR_ERROR", vmx::vm_instruction_error.encoding},
    {"VMX_INSTRUCTION_INFO", vmx::exit_instruction_information.encoding},
    {"CR0_MASK", vmx::cr0_guest_host_mask.encoding},
    {"CR4_MASK", vmx::cr4_guest_host_mask.encoding},
    {"CR0_SHADOW", vmx::cr0_read_shadow.encoding},
    {"CR4_SHADOW", vmx::cr4_read_shadow.encoding},
    {"PREEMPTION_TIMER_VALUE", vmx::guest_preemption_timer_value.encoding},
    {"XSS_EXITING_BITMAP", vmx::xss_exiting_bitmap.encoding},
    {"VM_ENTRY_INTERRUPTION_INFO", vmx::entry_interruption_information.encoding},
    {"VM_ENTRY_INTERRUPTION_INFORMATION_FIELD", vmx::entry_interruption_information.encoding},
    {"IDT_VECTORING_INFORMATION", vmx::idt_vectoring_information.encoding},
    {"VIRTUAL_APIC_ADDRESS", vmx::virtual_apic_address.encoding},
    {"VMCS_CTRL_POSTED_INTERRUPT_DESCRIPTOR_ADDRESS",
     vmx::posted_interrupt_descriptor_address.encoding},
    // bhyve's block on a VM exit
    {"QUALIFICATION", vmx::exit_qualification.encoding},
    {"INST_LENGTH", vmx::exit_instruction_length.encoding},
    {"INST_ERROR", vmx::vm_instruction_error.encoding},
    // HAXM
    {"VM_EXIT_INFO_REASON", vmx::exit_reason.encoding},
    {"VM_EXIT_INFO_QUALIFICATION", vmx::exit_qualification.encoding},
    {"VM_EXIT_INFO_GUEST_PHYSICAL_ADDRESS", vmx::guest_physical_address.encoding},
    {"GUEST_VMCS_LINK_PTR", vmx::guest_vmcs_link_pointer.encoding},
    {"ADDR_OF_MSR_BITMAPS", vmx::msr_bitmap_address.encoding},
});

class Names {
public:
    Names() {
        for (const vmx::FieldFacts& field : vmx::field_facts) {
            const Item item{Item::Kind::field, field.encoding};
            add(field.name, item);
            add(field.common, item);
            known_.emplace_back(field.common);
            known_.emplace_back(field.name);
            known_.push_back(in_capitals(field.name));
            // Of a segment's field this is the first one's.
            const bool is_its_own = vmx::find_field(field.encoding)->area() != vmx::Area::guest ||
                                    !std::string_view{field.identifier}.starts_with("guest_es_");
            if (is_its_own) {
                add(field.identifier, item);
            }
        }
        for (const Alias& alias : aliases) {
            add(alias.name, {Item::Kind::field, alias.encoding});
        }
        for (const MsrName& msr : msr_names) {
            add(msr.name, vmx::checks::item(msr.msr));
            known_.emplace_back(msr.name);
        }
    }

    [[nodiscard]] std::optional<Item> find(std::string_view name) const {
        const auto found = items_.find(key(name));
        return found == items_.end() || !says_enough(name, found->second)
                   ? std::nullopt
                   : std::optional{found->second};
    }
    [[nodiscard]] std::span<const std::string> known() const { return known_; }

private:
    // Without the words that carry nothing; where nothing would be left, with all of them.
    static std::string key(std::string_view name) {
        const std::vector<std::string> words = words_of(name);
        const auto has = [&](std::string_view word) {
            return std::ranges::find(words, word) != words.end();
        };
        const bool is_capability = has("VMX") && has("CTLS");
        // "IA32_VMX_EXIT_CTLS" is an MSR, "VMCS_CTRL_VMEXIT_CONTROLS" a field.
        return (is_capability ? "MSR:" : "") + letters_of(name);
    }
    // "cpu=1" and "VM exit: 5" are no controls: a word of controls is called so.
    static bool says_enough(std::string_view name, Item item) {
        constexpr auto controls = std::to_array<std::uint64_t>(
            {vmx::pin_based_controls.encoding, vmx::primary_processor_based_controls.encoding,
             vmx::secondary_processor_based_controls.encoding, vmx::exit_controls.encoding,
             vmx::entry_controls.encoding});
        constexpr auto marks = std::to_array<std::string_view>(
            {"CONTROL", "CONTROLS", "CTRL", "CTRLS", "CTL", "CTLS", "CTL2", "CONTROL2", "EXEC",
             "BASED", "PINBASED", "PROCBASED"});
        if (item.kind != Item::Kind::field ||
            std::ranges::find(controls, item.number) == controls.end()) {
            return true;
        }
        return std::ranges::any_of(words_of(name), [&](const std::string& word) {
            return std::ranges::find(marks, word) != marks.end();
        });
    }
    // "Guest TR access rights" as GUEST_TR_ACCESS_RIGHTS
    static std::string in_capitals(std::string_view name) {
        std::string text;
        for (const std::string& word : words_of(name)) {
            text += (text.empty() ? "" : "_") + word;
        }
        return text;
    }
    void add(std::string_view name, Item item) { items_.try_emplace(key(name), item); }

    std::map<std::string, Item, std::less<>> items_;
    std::vector<std::string> known_;
};

const Names& names() {
    static const Names all;
    return all;
}

}  // namespace

std::optional<NamedItem> item_of_name(std::string_view name) {
    if (const auto item = names().find(name)) {
        return NamedItem{*item};
    }
    // "…_HIGH" is the upper half of a 64-bit field.
    const std::vector<std::string> words = words_of(name);
    if (words.size() > 1 && words.back() == "HIGH") {
        const std::size_t end = name.size() - (name.ends_with(')') ? 1 : 0) - 4;
        const auto item = names().find(name.substr(0, end));
        if (item && item->kind == Item::Kind::field && (item->number >> 13 & 3) == 1) {
            return NamedItem{*item, true};
        }
    }
    return std::nullopt;
}

std::optional<NamedItem> item_of_encoding(std::uint64_t encoding) {
    const auto* field = vmx::find_field(static_cast<std::uint32_t>(encoding & ~1ULL));
    if (encoding > 0xFFFF || field == nullptr) {
        return std::nullopt;
    }
    const bool is_high = (encoding & 1) != 0;
    if (is_high && field->width() != vmx::Width::bits64) {
        return std::nullopt;
    }
    return NamedItem{{Item::Kind::field, field->encoding}, is_high};
}

std::string nearest_name(std::string_view name) {
    // Linux' names are in upper case, and that is what most dumps have.
    std::string upper{name};
    std::ranges::transform(upper, upper.begin(), [](unsigned char letter) {
        return static_cast<char>(std::toupper(letter));
    });
    for (const std::string_view prefix : {"VMCS_", "K"}) {
        if (upper.starts_with(prefix)) {
            upper.erase(0, prefix.size());
        }
    }
    const std::string near = nearest(upper, names().known());
    return near.empty() ? nearest(name, names().known()) : near;
}

namespace {

// Four digits, as every list of fields has them; or fewer with a mark, if it is sure to be one.
bool looks_like_an_encoding(std::string_view word, bool is_sure) {
    constexpr std::size_t digits = 4;
    const bool is_marked = word.starts_with("0x") || word.starts_with("0X");
    const bool has_letter = word.ends_with('h') || word.ends_with('H');
    const std::string_view number =
        is_marked ? word.substr(2) : word.substr(0, word.size() - (has_letter ? 1 : 0));
    return (number.size() == digits || (is_sure && is_marked)) &&
           std::ranges::all_of(number, [](unsigned char c) { return std::isxdigit(c) != 0; });
}

}  // namespace

std::optional<NamedItem> item_of_encoding_in(std::string_view name, bool is_sure) {
    while (!name.empty() && (name.back() == ')' || name.back() == ']')) {
        name.remove_suffix(1);
    }
    const std::size_t start = name.find_last_of(" \t([,:");
    const std::string_view word = start == std::string_view::npos ? name : name.substr(start + 1);
    if (!looks_like_an_encoding(word, is_sure)) {
        return std::nullopt;
    }
    const auto value = number_in(word);
    return value ? item_of_encoding(*value) : std::nullopt;
}

std::optional<NamedItem> item_at_end_of(std::string_view text) {
    while (!text.empty()) {
        if (const auto named = item_of_name(text)) {
            return named;
        }
        const std::size_t next = text.find_first_of(" \t:]>)|.");
        if (next == std::string_view::npos) {
            return std::nullopt;
        }
        text.remove_prefix(next + 1);
    }
    return std::nullopt;
}

}  // namespace hvp::tool
