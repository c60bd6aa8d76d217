#include "tool/explain/explanation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "hypervisor/vmcs/event_information.hpp"
#include "hypervisor/vmcs/names/bit_names.hpp"

namespace hvp::tool {
namespace {

using arch::bit;
using arch::bits;
using vmx::checks::CheckResult;

bool is_in_group(const EntryRule& rule, std::string_view section) {
    const std::string_view own{rule.section->section};
    return own == section || (own.starts_with(section) && own[section.size()] == '.');
}

// What processors have that a model may lack: bits that a rule refuses by the model's capabilities,
// and that mean something on some processor. The names end with May 2020; some bits are newer.
struct Elsewhere {
    std::string_view rule;
    std::uint64_t bits;
};
const auto elsewhere = std::to_array<Elsewhere>({
    {"pin-must-be-0", vmx::all_bits(vmx::pin_control_names)},
    {"primary-must-be-0", vmx::all_bits(vmx::primary_control_names)},
    {"secondary-must-be-0", bits(31, 0)},
    {"exit-must-be-0", vmx::all_bits(vmx::exit_control_names) | bits(31, 25)},
    {"entry-must-be-0", vmx::all_bits(vmx::entry_control_names) | bits(23, 18)},
    {"guest-cr4-fixed-0", vmx::all_bits(vmx::cr4_names) | bit(25) | bit(28) | bit(32)},
    {"host-cr4-fixed-0", vmx::all_bits(vmx::cr4_names) | bit(25) | bit(28) | bit(32)},
    {"eptp-accessed-dirty", bit(6)},
    {"eptp-reserved", bit(7) | bits(51, 40)},
    {"guest-cr3-width", bits(51, 40) | bits(62, 61)},
    {"host-cr3-width", bits(51, 40) | bits(62, 61)},
});

bool may_be_elsewhere(const EntryRule& rule, const CheckResult& answer, const Judged& judged) {
    const std::string id = rule_id(rule);
    const auto* const row = std::ranges::find(elsewhere, id, &Elsewhere::rule);
    if (row != elsewhere.end()) {
        const bool is_of_the_model = std::ranges::any_of(rule.items.all(), [&](Item item) {
            return item.kind == Item::Kind::msr &&
                   judged.is_of_the_model(that_it_has(item, judged));
        });
        const bool is_about_width =
            id.ends_with("-width") || id == "eptp-reserved";  // MAXPHYADDR is not in `items`
        const bool has_own_width =
            judged.image().fact(vmx::checks::Fact::physical_address_bits).has_value();
        return (is_of_the_model || (is_about_width && !has_own_width)) && answer.wrong_bits != 0 &&
               (answer.wrong_bits & ~row->bits) == 0;
    }
    const bool is_address = id.ends_with("-width") || id.ends_with("-end");
    return is_address && !judged.image().fact(vmx::checks::Fact::physical_address_bits) &&
           answer.wrong_bits != 0 && (answer.wrong_bits & ~bits(51, 40)) == 0;
}

std::optional<WhyAside> why_aside(const EntryRule& rule, const CheckResult& answer,
                                  const Judged& judged) {
    const EntryOutcome outcome = judged.said().outcome;
    if (outcome == EntryOutcome::entered) {
        return WhyAside::entered;
    }
    const bool is_late =
        outcome == EntryOutcome::guest_refused || outcome == EntryOutcome::msrs_refused;
    const bool is_early_group = is_in_group(rule, "26.1") || is_in_group(rule, "26.2");
    if ((is_late && is_early_group) ||
        (outcome == EntryOutcome::msrs_refused && is_in_group(rule, "26.3"))) {
        return WhyAside::passed;
    }
    if (judged.image().has_guests_view) {
        const std::string id = rule_id(rule);
        if (id == "guest-cr0-fixed-1" || id == "guest-cr4-fixed-1") {
            return WhyAside::guests_view;
        }
    }
    if (judged.model_is() == ModelIs::assumed && may_be_elsewhere(rule, answer, judged)) {
        return WhyAside::model;
    }
    return std::nullopt;
}

// "RFLAGS.VM = 0", "IA-32e mode guest = 1": what stood for the missing fields.
std::string likely_words(std::span<const Item> missing, const Judged& likely) {
    std::string words;
    for (const Item one : missing) {
        if (one == vmx::checks::item(vmx::guest_rflags)) {
            words += fmt::format("{}RFLAGS.VM = 0, as the access rights of CS are not F3H",
                                 words.empty() ? "" : "; ");
        } else {
            const std::uint64_t controls = likely.find(vmx::entry_controls.encoding).value_or(0);
            words += fmt::format("{}\"IA-32e mode guest\" = {}, as IA32_EFER.LMA is",
                                 words.empty() ? "" : "; ", controls >> 9 & 1);
        }
    }
    return words;
}

// A rule that lacks a field which other fields tell: whether it is broken then.
std::optional<BrokenRule> broken_by_likely_values(const EntryRule& rule,
                                                  std::span<const Item> missing,
                                                  const Judged& judged) {
    const auto has = [&](Item item) {
        return std::ranges::find(rule.items.all(), item) != rule.items.all().end();
    };
    if (!is_in_group(rule, "26.3") || has(vmx::checks::item(vmx::guest_rflags))) {
        return std::nullopt;
    }
    const auto likely = judged.with_likely_values(missing);
    if (!likely) {
        return std::nullopt;
    }
    vmx::checks::VmcsUnderTest x{*likely, *likely};
    const CheckResult answer = rule.check(x);
    if (!x.missing().empty() || !answer.broken) {
        return std::nullopt;
    }
    return BrokenRule{&rule, answer, likely_words(missing, *likely)};
}

void remark_on_values(const Judged& judged, Explanation& explanation) {
    const auto event = judged.image().find(vmx::entry_interruption_information.encoding);
    const auto code = judged.image().find(vmx::entry_exception_error_code.encoding);
    if (event && code && (*event & bit(31)) != 0 && (*event & bit(11)) != 0 &&
        (*code & bits(31, 15)) == bit(15)) {
        explanation.remarks.push_back(fmt::format(
            "The error code {:#x} has bit 15. Our edition of the manual, of 2016, wants bits 31:15 "
            "to be 0; newer editions, and the processors, want it of bits 31:16 only.",
            *code));
    }
}

}  // namespace

Item that_it_has(Item item, const Judged& judged) {
    constexpr std::uint64_t true_minus_plain = 0x48D - 0x481;
    const bool is_true =
        item.kind == Item::Kind::msr && item.number >= 0x48D && item.number <= 0x490;
    const auto basic = judged.msr(arch::Msr::vmx_basic);
    return is_true && basic && (*basic >> 55 & 1) == 0
               ? Item{Item::Kind::msr, item.number - true_minus_plain}
               : item;
}

Explanation explain_image(const Judged& judged) {
    Explanation explanation;
    const auto put = [&](BrokenRule broken) {
        if (const auto why = why_aside(*broken.rule, broken.answer, judged)) {
            explanation.aside.push_back({broken.rule, broken.answer, *why});
        } else {
            explanation.broken.push_back(std::move(broken));
        }
    };
    for (const EntryRule& rule : vmx::checks::all_rules) {
        judged.forget_questions();
        vmx::checks::VmcsUnderTest x{judged, judged};
        const CheckResult answer = rule.check(x);
        const std::span<const Item> missing = x.missing();
        if (!missing.empty()) {
            if (auto broken = broken_by_likely_values(rule, missing, judged)) {
                put(std::move(*broken));
            } else {
                explanation.unchecked.push_back({&rule, {missing.begin(), missing.end()}});
            }
        } else if (answer.broken) {
            put({&rule, answer, {}});
        } else if (!judged.has_asked_the_dump()) {
            ++explanation.taken_as_kept;
        }
    }
    remark_on_values(judged, explanation);
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

bool is_a_failure(const Judged& judged, const Explanation& explanation) {
    return !explanation.broken.empty() || judged.said().failed();
}

}  // namespace hvp::tool
