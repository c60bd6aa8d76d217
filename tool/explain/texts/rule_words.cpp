#include "tool/explain/texts/rule_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "hypervisor/vmcs/names/field_names.hpp"
#include "hypervisor/vmcs/names/rule_texts.hpp"
#include "tool/base/text.hpp"
#include "tool/explain/names/item_names.hpp"
#include "tool/record/words/manual.hpp"

namespace hvp::tool {
namespace {

// Every "{}" becomes the subject.
std::string with_subject(std::string_view text, std::string_view subject) {
    std::string result;
    for (std::size_t place = 0; place < text.size();) {
        const bool is_here = text.substr(place, 2) == "{}";
        result += is_here ? subject : text.substr(place, 1);
        place += is_here ? 2 : 1;
    }
    return result;
}

bool is_in_section(const EntryRule& rule, std::string_view section) {
    const std::string_view own{rule.section->section};
    return own == section || own.starts_with(std::string{section} + ".");
}

bool has_word(const EntryRule& rule, const std::string& word) {
    const auto contains = [&](const std::string& text) {
        return lower_case(text).find(word) != std::string::npos;
    };
    return contains(rule_id(rule)) || contains(rule_sentence(rule)) ||
           contains(rule_remedy(rule)) || contains(rule.section->title) ||
           std::ranges::any_of(rule.items.all(),
                               [&](Item item) { return contains(item_name(item)); });
}

// Sections in the manual's order, with their rules.
std::vector<std::pair<const vmx::Citation*, std::vector<const EntryRule*>>> by_section() {
    std::vector<std::pair<const vmx::Citation*, std::vector<const EntryRule*>>> sections;
    for (const EntryRule& rule : vmx::checks::all_rules) {
        if (sections.empty() || sections.back().first != rule.section) {
            sections.push_back({rule.section, {}});
        }
        sections.back().second.push_back(&rule);
    }
    return sections;
}

}  // namespace

std::string rule_id(const EntryRule& rule) {
    return with_subject(rule.id, lower_case(rule.subject));
}

std::string rule_sentence(const EntryRule& rule) {
    return with_subject(text_of(rule).sentence, rule.subject);
}

std::string rule_remedy(const EntryRule& rule) {
    return with_subject(text_of(rule).remedy, rule.subject);
}

std::string rule_citation(const EntryRule& rule) {
    return citation_for_readers(*rule.section) + (rule.is_newer ? " in newer editions" : "");
}

std::string item_name(Item item) {
    switch (item.kind) {
        case Item::Kind::none:
            return "";
        case Item::Kind::field: {
            const auto* field = vmx::find_field(static_cast<std::uint32_t>(item.number));
            return field != nullptr ? field->name : fmt::format("field {:04X}H", item.number);
        }
        case Item::Kind::msr: {
            const auto* const found =
                std::ranges::find(msr_names, static_cast<arch::Msr>(item.number), &MsrName::msr);
            return found != msr_names.end() ? found->name : fmt::format("MSR {:X}H", item.number);
        }
        case Item::Kind::fact:
            return fact_names[item.number].name;
        case Item::Kind::memory:
            return fmt::format("memory at {:#x}", item.number);
    }
    return "";
}

std::string item_name_with_number(Item item) {
    const bool has_number = item.kind == Item::Kind::field || item.kind == Item::Kind::msr;
    return has_number ? fmt::format("{} ({:0{}X}H)", item_name(item), item.number,
                                    item.kind == Item::Kind::field ? 4 : 1)
                      : item_name(item);
}

std::vector<const EntryRule*> rules_matching(std::string_view word) {
    std::vector<const EntryRule*> found;
    const std::string small = lower_case(word);
    for (const EntryRule& rule : vmx::checks::all_rules) {
        if (is_in_section(rule, word) || has_word(rule, small)) {
            found.push_back(&rule);
        }
    }
    return found;
}

std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
    std::string result;
    for (const std::string& line : wrapped_lines(text, width - std::min(indent, width))) {
        result += std::string(indent, ' ') + line + "\n";
    }
    return result;
}

std::string rules_page() {
    std::string page =
        "# What VM entry checks\n\n"
        "<!-- Printed by `./playground rules --page`; the table is hypervisor/vmcs/entry_checks. "
        "-->\n\n"
        "When VMLAUNCH or VMRESUME fails, one of these rules is broken, and the processor does not "
        "say which.\n"
        "`./playground explain FILE` names it from a dump of the VMCS, and a run that fails names "
        "it "
        "by itself.\n\n"
        "The groups are checked in this order: 26.1, 26.2, 26.3, 26.4. Within a group the manual "
        "leaves the\norder open, so another processor may stumble over another rule first.\n\n";
    page += manual_editions() + "\n\n| section | rules |\n|---|---|\n";
    const auto sections = by_section();
    for (const auto& [section, rules] : sections) {
        page += fmt::format("| [{} {}](#{}) | {} |\n", section->section, section->title,
                            section->section, rules.size());
    }
    page += fmt::format("| all | {} |\n", vmx::checks::all_rules.size());
    for (const auto& [section, rules] : sections) {
        page += fmt::format("\n<a id=\"{0}\"></a>\n\n## {0} {1} ({2} since December 2022)\n",
                            section->section, section->title,
                            newer_section(section->volume, section->section));
        for (const EntryRule* rule : rules) {
            page += fmt::format("\n### {}\n{}\n\n{}\n\n", rule_id(*rule), rule_sentence(*rule),
                                rule_remedy(*rule));
            std::string items;
            for (const Item item : rule->items.all()) {
                items += (items.empty() ? "" : ", ") + item_name_with_number(item);
            }
            page += fmt::format("*{}*{}\n", items,
                                rule->is_newer ? " · in newer editions of the manual" : "");
        }
    }
    return page;
}

}  // namespace hvp::tool
