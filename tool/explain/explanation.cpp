#include "tool/explain/explanation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "hypervisor/vmcs/exit_reason.hpp"
#include "hypervisor/vmcs/instruction_error.hpp"
#include "tool/explain/value_words.hpp"
#include "tool/record/qualification_words.hpp"

namespace hvp::tool {
namespace {

using vmx::checks::Fact;

constexpr std::size_t most_in_full = 6;
constexpr std::size_t most_unknown_lines = 5;
constexpr std::size_t most_missing = 12;

// The exit reason, if it says that VM entry failed after controls and host state were found good.
// [SDM 3C 26.7 "VM-Entry Failures During or After Loading Guest State"]
std::optional<vmx::ExitReasonField> late_failure(const VmcsImage& image) {
    const auto raw = image.find(vmx::exit_reason.encoding);
    if (!raw) {
        return std::nullopt;
    }
    const auto reason = std::bit_cast<vmx::ExitReasonField>(static_cast<std::uint32_t>(*raw));
    return reason.entry_failure != 0 ? std::optional{reason} : std::nullopt;
}

// The VM-instruction error, where it is not left over from an earlier instruction.
std::uint64_t instruction_error(const VmcsImage& image) {
    return late_failure(image) ? 0 : image.find(vmx::vm_instruction_error.encoding).value_or(0);
}

bool is_of_early_group(const EntryRule& rule) {
    const std::string_view section{rule.section->section};
    return section == "26.1" || section.starts_with("26.2");
}

vmx::Shape shape_of(Item item) {
    const auto* field = item.kind == Item::Kind::field
                            ? vmx::find_field(static_cast<std::uint32_t>(item.number))
                            : nullptr;
    return field != nullptr ? field->shape : vmx::Shape::number;
}

// A capability MSR for controls: bits that must be 1, and bits that may be.
std::string capability_words(std::uint64_t value) {
    return fmt::format("must be 1: {:#x}; may be 1: {:#x}", value & 0xFFFF'FFFF, value >> 32);
}

bool is_control_capability(Item item) {
    return item.kind == Item::Kind::msr &&
           ((item.number >= 0x481 && item.number <= 0x484) ||
            (item.number >= 0x48B && item.number <= 0x490 && item.number != 0x48C));
}

std::string words_of(Item item, std::uint64_t value) {
    return is_control_capability(item) ? capability_words(value)
                                       : value_words(shape_of(item), value);
}

// "bit 13 (VMXE)"
std::string wrong_bits_text(Item item, std::uint64_t bits) {
    const std::string numbers = bit_numbers(bits);
    const auto names = names_of_bits(shape_of(item));
    if (names.empty() || (bits & vmx::all_bits(names)) == 0) {
        return numbers;
    }
    return fmt::format("{} ({})", numbers, bit_words(names, bits & vmx::all_bits(names)));
}

// A rule names the TRUE capability MSR; a processor may have the plain one only.
Item that_it_has(Item item, const Judged& judged) {
    constexpr std::uint64_t true_minus_plain = 0x48D - 0x481;
    const bool is_true =
        item.kind == Item::Kind::msr && item.number >= 0x48D && item.number <= 0x490;
    const auto basic = judged.msr(arch::Msr::vmx_basic);
    return is_true && basic && (*basic >> 55 & 1) == 0
               ? Item{Item::Kind::msr, item.number - true_minus_plain}
               : item;
}

std::string broken_text(const BrokenRule& broken, const Judged& judged,
                        const ExplanationStyle& style) {
    const EntryRule& rule = *broken.rule;
    std::string text = fmt::format("  {}  {}\n", rule_id(rule), rule_citation(rule));
    text += wrapped(rule_sentence(rule), 4, style.width);
    std::size_t widest = 0;
    for (const Item item : rule.items.all()) {
        widest = std::max(widest, item_name(that_it_has(item, judged)).size());
    }
    bool is_first = true;
    for (const Item named : rule.items.all()) {
        const Item item = that_it_has(named, judged);
        const auto value = judged.look_up(item);
        if (!value) {
            continue;
        }
        const std::string words = words_of(item, *value);
        text += fmt::format("      {:<{}} = {:#x}{}{}\n", item_name(item), widest, *value,
                            words.empty() ? "" : "  ", words);
        if (is_first && broken.answer.wrong_bits != 0) {
            text += fmt::format("      {:<{}}   wrong: {}\n", "", widest,
                                wrong_bits_text(item, broken.answer.wrong_bits));
        }
        if (is_first && style.where_set) {
            const std::string place = style.where_set(item);
            if (!place.empty()) {
                text += fmt::format("      {:<{}}   set in {}\n", "", widest, place);
            }
        }
        is_first = false;
    }
    return text + wrapped(rule_remedy(rule), 4, style.width);
}

std::string what_the_processor_said(const VmcsImage& image) {
    if (const auto reason = late_failure(image)) {
        const auto qualification = image.find(vmx::exit_qualification.encoding).value_or(0);
        const std::string words = qualification_words(reason->basic(), qualification);
        return fmt::format("The processor said: exit {}, {}; qualification {:#x}{}.\n",
                           static_cast<unsigned>(reason->basic_reason),
                           vmx::exit_reason_name(reason->basic_reason), qualification,
                           words.empty() ? "" : " (" + words + ")");
    }
    const std::uint64_t error = instruction_error(image);
    return error == 0 ? ""
                      : fmt::format("The processor said: VM-instruction error {}, {}.\n", error,
                                    vmx::instruction_error_name(static_cast<std::uint32_t>(error)));
}

std::string headline(const Explanation& explanation) {
    const std::size_t count = explanation.broken.size();
    if (count == 0) {
        return explanation.unchecked.empty()
                   ? "No rule of VM entry is broken.\n"
                   : "No rule of VM entry that can be checked is broken.\n";
    }
    return count == 1 ? "VM entry fails: 1 rule is broken.\n"
                      : fmt::format(
                            "VM entry fails: {} rules are broken. The processor stops at "
                            "the first that it meets.\n",
                            count);
}

std::string closing_words(const VmcsImage& image, const Explanation& explanation,
                          const ExplanationStyle& style) {
    std::string text;
    if (!explanation.passed.empty()) {
        std::string ids;
        for (const BrokenRule& one : explanation.passed) {
            ids += (ids.empty() ? "" : ", ") + rule_id(*one.rule);
        }
        text += wrapped(fmt::format("By the capabilities of {} these would be broken, too, but the "
                                    "processor got past them: {}. It is another processor; give "
                                    "its capability MSRs in the dump, or --model.",
                                    style.model, ids),
                        0, style.width);
    }
    const std::vector<std::string> missing = missing_names(explanation);
    if (!missing.empty()) {
        const std::size_t shown = std::min(missing.size(), most_missing);
        const std::string more =
            shown < missing.size()
                ? fmt::format(" and {} more (--json lists them)", missing.size() - shown)
                : "";
        text += wrapped(
            fmt::format("{} of {} rules could not be checked, as the dump lacks {}{}.",
                        explanation.unchecked.size(), vmx::checks::all_rules.size(),
                        fmt::join(missing.begin(),
                                  missing.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                        more),
            0, style.width);
    }
    for (std::size_t i = 0; i < std::min(image.unknown.size(), most_unknown_lines); ++i) {
        const UnknownLine& line = image.unknown[i];
        text += fmt::format(
            "line {}: {}: {}{}\n", line.number, line.name, line.why,
            line.suggestion.empty() ? "" : fmt::format("; did you mean {}?", line.suggestion));
    }
    if (image.unknown.size() > most_unknown_lines) {
        text += fmt::format("and {} more lines that were not understood (--json has them)\n",
                            image.unknown.size() - most_unknown_lines);
    }
    return text + wrapped(fmt::format("Judged by the capabilities of {}, where the dump has none. "
                                      "The processor checks 26.1, 26.2, 26.3, 26.4 in this order; "
                                      "within each the SDM leaves the order open.",
                                      style.model),
                          0, style.width);
}

Json item_json(Item item, const Judged& judged) {
    Json json = {{"name", item_name(item)}};
    json["encoding"] =
        item.kind == Item::Kind::fact ? Json{} : Json(fmt::format("{:#x}", item.number));
    const auto value = judged.look_up(item);
    json["value"] = value ? Json(fmt::format("{:#x}", *value)) : Json{};
    if (value) {
        json["meaning"] = words_of(item, *value);
    }
    return json;
}

}  // namespace

std::optional<std::uint64_t> Judged::msr(arch::Msr index) const {
    const auto own = image_.msr(index);
    return own ? own : model_.msr(index);
}

std::optional<std::uint64_t> Judged::fact(Fact fact) const {
    if (const auto own = image_.fact(fact)) {
        return own;
    }
    constexpr std::uint64_t vmlaunch_not_clear = 4;
    constexpr std::uint64_t vmresume_not_launched = 5;
    constexpr std::uint64_t events_blocked_by_mov_ss = 26;
    const std::uint64_t error = instruction_error(image_);
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
        case Item::Kind::memory:
            return image_.look_up(item);
    }
    return std::nullopt;
}

Explanation explain_image(const VmcsImage& image, const Judged& judged) {
    Explanation explanation;
    const bool got_past_controls = late_failure(image).has_value();
    vmx::checks::examine(
        judged, judged,
        [&](const EntryRule& rule, vmx::checks::CheckResult answer, std::span<const Item> missing) {
            if (!missing.empty()) {
                explanation.unchecked.push_back({&rule, {missing.begin(), missing.end()}});
            } else if (got_past_controls && is_of_early_group(rule)) {
                explanation.passed.push_back({&rule, answer});
            } else {
                explanation.broken.push_back({&rule, answer});
            }
        });
    return explanation;
}

std::vector<std::string> missing_names(const Explanation& explanation) {
    std::vector<std::string> names;
    for (const UncheckedRule& rule : explanation.unchecked) {
        for (const Item item : rule.missing) {
            if (std::string name = item_name(item); std::ranges::find(names, name) == names.end()) {
                names.push_back(std::move(name));
            }
        }
    }
    return names;
}

std::string explanation_text(const VmcsImage& image, const Judged& judged,
                             const Explanation& explanation, const ExplanationStyle& style) {
    std::string text = headline(explanation) + what_the_processor_said(image) + "\n";
    for (std::size_t i = 0; i < explanation.broken.size(); ++i) {
        const BrokenRule& broken = explanation.broken[i];
        if (i < most_in_full) {
            text += broken_text(broken, judged, style) + "\n";
        } else {
            text += fmt::format("  {}  {}\n", rule_id(*broken.rule), rule_sentence(*broken.rule));
        }
    }
    if (explanation.broken.size() > most_in_full) {
        text += "\n";
    }
    return text + closing_words(image, explanation, style);
}

Json explanation_json(const VmcsImage& image, const Judged& judged,
                      const Explanation& explanation) {
    Json broken = Json::array();
    for (const BrokenRule& one : explanation.broken) {
        Json fields = Json::array();
        for (const Item item : one.rule->items.all()) {
            fields.push_back(item_json(that_it_has(item, judged), judged));
        }
        const vmx::Citation& section = *one.rule->section;
        broken.push_back({{"id", rule_id(*one.rule)},
                          {"section", section.section},
                          {"title", section.title},
                          {"fields", fields},
                          {"wrong_bits", fmt::format("{:#x}", one.answer.wrong_bits)},
                          {"sentence", rule_sentence(*one.rule)},
                          {"remedy", rule_remedy(*one.rule)}});
    }
    Json unknown = Json::array();
    for (const UnknownLine& line : image.unknown) {
        unknown.push_back({{"line", line.number},
                           {"name", line.name},
                           {"why", line.why},
                           {"suggestion", line.suggestion}});
    }
    return {{"broken", broken}, {"unchecked", missing_names(explanation)}, {"unknown", unknown}};
}

}  // namespace hvp::tool
