// An explanation for people.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "hypervisor/vmcs/exit_reason.hpp"
#include "hypervisor/vmcs/instruction_error.hpp"
#include "tool/base/visible.hpp"
#include "tool/explain/explanation.hpp"
#include "tool/explain/texts/sentences.hpp"
#include "tool/explain/texts/value_words.hpp"
#include "tool/record/words/manual.hpp"
#include "tool/record/words/qualification_words.hpp"

namespace hvp::tool {
namespace {

constexpr std::size_t most_in_full = 6;
constexpr std::size_t most_unknown_lines = 5;
constexpr std::size_t most_missing = 12;

std::string words_of(Item item, std::uint64_t value, const Judged& judged, std::string_view model) {
    const std::string words = item_words(item, value);
    const std::string of_model =
        judged.is_of_the_model(item) ? fmt::format("(of {}, not in the dump)", model) : "";
    return words.empty() || of_model.empty() ? words + of_model : words + "  " + of_model;
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
        const std::string words = words_of(item, *value, judged, style.model);
        text += fmt::format("      {:<{}} = {:#x}{}{}\n", item_name(item), widest, *value,
                            words.empty() ? "" : "  ", words);
        if (is_first && broken.answer.wrong_bits != 0) {
            text += fmt::format("      {:<{}}   wrong: {}\n", "", widest,
                                named_bits(item, broken.answer.wrong_bits));
        }
        if (is_first && style.where_set) {
            const std::string place = style.where_set(item);
            if (!place.empty()) {
                text += fmt::format("      {:<{}}   set in {}\n", "", widest, place);
            }
        }
        is_first = false;
    }
    if (!broken.likely.empty()) {
        text += wrapped(fmt::format("The dump does not say it, but {}.", broken.likely), 4,
                        style.width);
    }
    return text + wrapped(rule_remedy(rule), 4, style.width);
}

// "guest-cr4-fixed-0 (bit 11, UMIP)"
std::string aside_text(const RuleAside& one, const Judged& judged) {
    const Item first = that_it_has(one.rule->items.items[0], judged);
    return one.answer.wrong_bits == 0 ? rule_id(*one.rule)
                                      : fmt::format("{}: {}", rule_id(*one.rule),
                                                    named_bits(first, one.answer.wrong_bits));
}

std::string asides(const Judged& judged, const Explanation& explanation,
                   const ExplanationStyle& style) {
    std::string text;
    for (const WhyAside why :
         {WhyAside::entered, WhyAside::passed, WhyAside::guests_view, WhyAside::model}) {
        std::string list;
        for (const RuleAside& one : explanation.aside) {
            if (one.why == why) {
                list += (list.empty() ? "" : "; ") + aside_text(one, judged);
            }
        }
        if (!list.empty()) {
            text +=
                wrapped(fmt::format("Put aside: {}. {}", list, why_aside_words(why, style.model)),
                        0, style.width);
        }
    }
    return text;
}

std::string what_is_missing(const Explanation& explanation, const ExplanationStyle& style) {
    const std::vector<std::string> missing = missing_names(explanation);
    if (missing.empty()) {
        return "";
    }
    const std::size_t shown = std::min(missing.size(), most_missing);
    const std::string more =
        shown < missing.size()
            ? fmt::format(" and {} more (--json lists them)", missing.size() - shown)
            : "";
    return wrapped(
        fmt::format(
            "{} of {} rules could not be checked, as the dump lacks {}{}.",
            explanation.unchecked.size(), rule_count,
            fmt::join(missing.begin(), missing.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
            more),
        0, style.width);
}

std::string what_was_not_understood(const VmcsImage& image) {
    std::string text;
    for (std::size_t i = 0; i < std::min(image.unknown.size(), most_unknown_lines); ++i) {
        const UnknownLine& line = image.unknown[i];
        text += fmt::format(
            "line {}: {}: {}{}\n", line.number, visible(line.name), line.why,
            line.suggestion.empty() ? "" : fmt::format("; did you mean {}?", line.suggestion));
    }
    if (image.unknown.size() > most_unknown_lines) {
        text += fmt::format("and {} more lines that were not understood (--json has them)\n",
                            image.unknown.size() - most_unknown_lines);
    }
    return text;
}

std::string closing_words(const Judged& judged, const Explanation& explanation,
                          const ExplanationStyle& style) {
    const auto paragraph = [&](const std::string& words) { return wrapped(words, 0, style.width); };
    std::string text = asides(judged, explanation, style) + what_is_missing(explanation, style);
    for (const std::string& remark : explanation.remarks) {
        text += paragraph(remark);
    }
    for (const std::string& note : judged.image().notes) {
        text += paragraph(visible(note));
    }
    text += what_was_not_understood(judged.image());
    if (explanation.taken_as_kept != 0) {
        text += paragraph(fmt::format(
            "{} rules depend on nothing in the dump and were taken as kept: VM entry is "
            "executed in 64-bit mode at CPL 0, with a current VMCS.",
            explanation.taken_as_kept));
    }
    return text +
           paragraph(fmt::format("Judged by the capabilities of {}, where the dump has none. The "
                                 "processor checks 26.1, 26.2, 26.3, 26.4 in this order; within "
                                 "each the SDM leaves the order open.",
                                 style.model)) +
           paragraph(manual_editions());
}

}  // namespace

std::string explanation_text(const Judged& judged, const Explanation& explanation,
                             const ExplanationStyle& style) {
    std::string text = wrapped(headline(judged, explanation), 0, style.width);
    const std::string said = what_the_processor_said(judged);
    text += (said.empty() ? "" : wrapped(said, 0, style.width)) + "\n";
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
    return text + closing_words(judged, explanation, style);
}

}  // namespace hvp::tool
