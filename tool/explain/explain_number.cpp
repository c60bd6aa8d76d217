#include "tool/explain/explain_number.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "hypervisor/vmcs/exit_reason.hpp"
#include "hypervisor/vmcs/instruction_error.hpp"
#include "tool/base/nearest.hpp"
#include "tool/explain/dumps/numbers.hpp"
#include "tool/explain/dumps/vmcs_dump.hpp"
#include "tool/explain/explanation.hpp"
#include "tool/explain/names/field_names.hpp"
#include "tool/explain/texts/sentences.hpp"
#include "tool/explain/texts/value_words.hpp"
#include "tool/record/words/manual.hpp"
#include "tool/record/words/qualification_words.hpp"
#include "tool/record/words/status_names.hpp"

namespace hvp::tool {
namespace {

using Meaning = std::expected<NumberMeaning, std::string>;

// Exit reasons and errors are decimal in the manual.
std::optional<std::uint64_t> decimal_number(const std::string& text) {
    return text.starts_with("0x") || text.starts_with("0X") ? number_in(text)
                                                            : number_in("0n" + text);
}

std::unexpected<std::string> no_number(std::string_view option, std::string_view text) {
    return std::unexpected{fmt::format("--{} {}: this is no number", option, text)};
}

// The rules that a single field breaks by itself, whatever else is in the VMCS.
std::string broken_by_itself(std::uint32_t encoding, std::uint64_t value,
                             const ModelProcessor& model, std::string_view model_name) {
    VmcsImage image;
    image.set({Item::Kind::field, encoding}, value);
    const Judged judged{image, model, ModelIs::known};
    std::string text;
    for (const BrokenRule& broken : explain_image(judged).broken) {
        text += fmt::format(
            "\nbreaks {}, as far as {} goes: {} wrong: {}", rule_id(*broken.rule), model_name,
            rule_sentence(*broken.rule),
            broken.answer.wrong_bits != 0 ? bit_numbers(broken.answer.wrong_bits) : "the value");
    }
    return text;
}

Meaning exit_meaning(const ExplainOptions& options) {
    const auto number = decimal_number(options.exit);
    if (!number || *number > 0xFFFF'FFFF) {
        return no_number("exit", options.exit);
    }
    const auto reason = static_cast<std::uint32_t>(*number & 0xFFFF);
    std::string words = vmx::exit_reason_name(reason);
    words += (*number >> 31 & 1) != 0 ? "; VM entry failed" : "";
    if (!options.qualification.empty()) {
        const auto qualification = number_in(options.qualification);
        if (!qualification) {
            return no_number("qualification", options.qualification);
        }
        const std::string about =
            qualification_words(static_cast<vmx::ExitReason>(reason), *qualification);
        words += fmt::format(
            "\nqualification {:#x}: {}", *qualification,
            about.empty() ? "this exit reason has none, or none that we can read" : about);
        words += "  " + citation_for_readers({"3C", "27.2.1", "Basic VM-Exit Information"});
    }
    return NumberMeaning{fmt::format("exit {}", reason), words,
                         citation_for_readers({"3C", "24.9.1", "Basic VM-Exit Information"})};
}

Meaning error_meaning(const ExplainOptions& options) {
    const auto number = decimal_number(options.error);
    if (!number) {
        return no_number("error", options.error);
    }
    std::string words = vmx::instruction_error_name(
        static_cast<std::uint32_t>(std::min<std::uint64_t>(*number, 0xFFFF'FFFF)));
    const std::string_view advice =
        *number > 0xFFFF'FFFF ? "" : advice_on_error(static_cast<std::uint32_t>(*number));
    words += advice.empty() ? "" : fmt::format("\n{}", advice);
    return NumberMeaning{fmt::format("VM-instruction error {}", *number), words,
                         citation_for_readers({"3C", "30.4", "VM Instruction Error Numbers"})};
}

Meaning status_meaning(const ExplainOptions& options) {
    const auto number = number_in(options.status);
    if (!number || *number > 0xFFFF'FFFF) {
        return no_number("status", options.status);
    }
    const auto all = status_names();
    const auto found =
        std::ranges::find(all, static_cast<std::uint32_t>(*number), &StatusName::number);
    return NumberMeaning{fmt::format("status {:#010x}", *number),
                         found == all.end() ? "an NTSTATUS that this tool has no name for"
                                            : fmt::format("{}: {}", found->name, found->meaning),
                         "[Windows: NTSTATUS Values]"};
}

struct ControlWord {
    std::string_view name;
    std::uint32_t encoding;
    vmx::Citation source;
};
constexpr auto control_words = std::to_array<ControlWord>({
    {"pin", vmx::pin_based_controls.encoding, {"3C", "24.6.1", "Pin-Based VM-Execution Controls"}},
    {"primary",
     vmx::primary_processor_based_controls.encoding,
     {"3C", "24.6.2", "Processor-Based VM-Execution Controls"}},
    {"secondary",
     vmx::secondary_processor_based_controls.encoding,
     {"3C", "24.6.2", "Processor-Based VM-Execution Controls"}},
    {"exit", vmx::exit_controls.encoding, {"3C", "24.7.1", "VM-Exit Controls"}},
    {"entry", vmx::entry_controls.encoding, {"3C", "24.8.1", "VM-Entry Controls"}},
});

Meaning controls_meaning(const ExplainOptions& options, const ModelProcessor& model) {
    const std::size_t equals = options.controls.find('=');
    const std::string name = options.controls.substr(0, equals);
    const auto* const word = std::ranges::find(control_words, name, &ControlWord::name);
    if (equals == std::string::npos || word == control_words.end()) {
        std::vector<std::string> known;
        for (const ControlWord& one : control_words) {
            known.emplace_back(one.name);
        }
        const std::string near = nearest(name, known);
        return std::unexpected{fmt::format(
            "--controls {}: pin=, primary=, secondary=, exit= or entry= with a number{}",
            options.controls, near.empty() ? "" : fmt::format("; did you mean {}?", near))};
    }
    const auto value = number_in(options.controls.substr(equals + 1));
    if (!value || *value > 0xFFFF'FFFF) {
        return no_number("controls", options.controls);
    }
    const auto* field = vmx::find_field(word->encoding);
    return NumberMeaning{fmt::format("{} = {:#x}", field->name, *value),
                         value_words(field->shape, *value) +
                             broken_by_itself(word->encoding, *value, model, options.model),
                         citation_for_readers(word->source)};
}

Meaning field_meaning(const ExplainOptions& options) {
    const auto number = number_in(options.field);
    auto named = number ? item_of_encoding(*number) : std::nullopt;
    if (!named) {
        named = item_of_name(options.field);
    }
    if (!named || named->item.kind != Item::Kind::field) {
        const std::string near = nearest_name(options.field);
        return std::unexpected{
            fmt::format("--field {}: no such field{}", options.field,
                        near.empty() ? "" : fmt::format("; did you mean {}?", near))};
    }
    const auto* field = vmx::find_field(static_cast<std::uint32_t>(named->item.number));
    constexpr std::array<const char*, 4> areas{"control field", "exit information, read-only",
                                               "guest-state area", "host-state area"};
    std::string words = fmt::format("{}; {}, {} bits{}; in headers {}, here vmx::{}", field->name,
                                    areas[static_cast<std::size_t>(field->area())], field->bits(),
                                    field->width() == vmx::Width::natural ? " (natural width)" : "",
                                    field->common, field->identifier);
    std::string rules;
    for (const EntryRule& rule : vmx::checks::all_rules) {
        if (std::ranges::find(rule.items.all(), named->item) != rule.items.all().end()) {
            rules += (rules.empty() ? "" : ", ") + rule_id(rule);
        }
    }
    words += rules.empty() ? "\nno rule of VM entry looks at it" : "\nrules: " + rules;
    return NumberMeaning{
        fmt::format("field {:04X}H{}", field->encoding, named->is_high_half ? ", upper half" : ""),
        words,
        citation_for_readers({"3C", "24.11.2", "VMREAD, VMWRITE, and Encodings of VMCS Fields"})};
}

Meaning word_meaning(std::string_view option, const std::string& text, std::string_view what,
                     std::uint32_t encoding, const vmx::Citation& source,
                     const ModelProcessor& model, std::string_view model_name) {
    const auto value = number_in(text);
    const auto* field = vmx::find_field(encoding);
    if (!value || (field->bits() < 64 && *value >> field->bits() != 0)) {
        return no_number(option, text);
    }
    // Access rights may be those of any segment: no rule can be checked.
    const bool has_rules = field->shape != vmx::Shape::access_rights;
    return NumberMeaning{
        fmt::format("{} {:#x}", what, *value),
        value_words(field->shape, *value) +
            (has_rules ? broken_by_itself(encoding, *value, model, model_name) : std::string{}),
        citation_for_readers(source)};
}

Meaning ept_meaning(const ExplainOptions& options) {
    const auto value = number_in(options.ept_entry);
    if (!value) {
        return no_number("ept-entry", options.ept_entry);
    }
    std::string words = "\n" + ept_entry_words(*value);
    words.pop_back();
    return NumberMeaning{fmt::format("EPT entry {:#x}", *value), words,
                         citation_for_readers({"3C", "28.2.2", "EPT Translation Mechanism"})};
}

}  // namespace

std::expected<std::vector<NumberMeaning>, std::string> meanings(const ExplainOptions& options,
                                                                const ModelProcessor& model) {
    std::vector<NumberMeaning> all;
    std::string complaint;
    const auto add = [&](const std::string& given, auto make) {
        if (given.empty() || !complaint.empty()) {
            return;
        }
        if (Meaning meaning = make()) {
            all.push_back(std::move(*meaning));
        } else {
            complaint = meaning.error();
        }
    };
    add(options.exit, [&] { return exit_meaning(options); });
    add(options.error, [&] { return error_meaning(options); });
    add(options.controls, [&] { return controls_meaning(options, model); });
    add(options.field, [&] { return field_meaning(options); });
    add(options.interruption, [&] {
        return word_meaning("interruption", options.interruption, "interruption information",
                            vmx::entry_interruption_information.encoding,
                            {"3C", "24.8.3", "VM-Entry Controls for Event Injection"}, model,
                            options.model);
    });
    add(options.access_rights, [&] {
        return word_meaning("access-rights", options.access_rights, "access rights",
                            vmx::guest_cs_rights.encoding, {"3C", "24.4.1", "Guest Register State"},
                            model, options.model);
    });
    add(options.ept_entry, [&] { return ept_meaning(options); });
    add(options.status, [&] { return status_meaning(options); });
    add(options.cr4, [&] {
        return word_meaning("cr4", options.cr4, "CR4", vmx::guest_cr4.encoding,
                            {"3A", "2.5", "Control Registers"}, model, options.model);
    });
    if (!complaint.empty()) {
        return std::unexpected{complaint};
    }
    return all;
}

}  // namespace hvp::tool
