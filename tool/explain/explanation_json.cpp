// An explanation for programs.
#include <fmt/format.h>

#include "hypervisor/vmcs/instruction_error.hpp"
#include "tool/explain/explanation.hpp"
#include "tool/explain/texts/sentences.hpp"
#include "tool/explain/texts/value_words.hpp"
#include "tool/record/words/manual.hpp"
#include "tool/record/words/qualification_words.hpp"

namespace hvp::tool {
namespace {

Json item_json(Item item, const Judged& judged) {
    Json json = {{"name", item_name(item)}};
    json["encoding"] =
        item.kind == Item::Kind::fact ? Json{} : Json(fmt::format("{:#x}", item.number));
    const auto value = judged.look_up(item);
    json["value"] = value ? Json(fmt::format("{:#x}", *value)) : Json{};
    if (value) {
        json["meaning"] = item_words(item, *value);
    }
    json["of_the_model"] = judged.is_of_the_model(item);
    return json;
}

Json rule_json(const EntryRule& rule, const vmx::checks::CheckResult& answer,
               const Judged& judged) {
    Json fields = Json::array();
    for (const Item item : rule.items.all()) {
        fields.push_back(item_json(that_it_has(item, judged), judged));
    }
    const vmx::Citation& section = *rule.section;
    return {{"id", rule_id(rule)},
            {"section", section.section},
            {"section_2022", newer_section(section.volume, section.section)},
            {"title", section.title},
            {"fields", fields},
            {"wrong_bits", fmt::format("{:#x}", answer.wrong_bits)},
            {"wrong_bits_in_words",
             answer.wrong_bits == 0
                 ? ""
                 : named_bits(that_it_has(rule.items.items[0], judged), answer.wrong_bits)},
            {"sentence", rule_sentence(rule)},
            {"remedy", rule_remedy(rule)}};
}

Json entry_json(const Judged& judged) {
    const WhatEntrySaid& said = judged.said();
    Json entry = {{"outcome", outcome_name(said.outcome)},
                  {"words", what_the_processor_said(judged)},
                  {"exit_reason", nullptr},
                  {"exit_name", nullptr},
                  {"qualification", nullptr},
                  {"qualification_meaning", nullptr},
                  {"instruction_error", nullptr},
                  {"instruction_error_name", nullptr}};
    if (said.exit) {
        entry["exit_reason"] = static_cast<unsigned>(said.exit->basic_reason);
        entry["exit_name"] = vmx::exit_reason_name(said.exit->basic_reason);
    }
    if (said.exit && said.qualification) {
        entry["qualification"] = fmt::format("{:#x}", *said.qualification);
        entry["qualification_meaning"] =
            qualification_words(said.exit->basic(), *said.qualification);
    }
    if (said.instruction_error != 0) {
        entry["instruction_error"] = said.instruction_error;
        entry["instruction_error_name"] = vmx::instruction_error_name(said.instruction_error);
    }
    return entry;
}

}  // namespace

Json explanation_json(const Judged& judged, const Explanation& explanation,
                      const ExplanationStyle& style) {
    Json broken = Json::array();
    for (const BrokenRule& one : explanation.broken) {
        broken.push_back(rule_json(*one.rule, one.answer, judged));
        broken.back()["likely"] = one.likely;
        // As the text has it: of the first field, and only where somebody knows.
        broken.back()["set_in"] =
            style.where_set ? style.where_set(that_it_has(one.rule->items.items[0], judged)) : "";
    }
    Json aside = Json::array();
    for (const RuleAside& one : explanation.aside) {
        aside.push_back(rule_json(*one.rule, one.answer, judged));
        aside.back()["why"] = why_aside_name(one.why);
        aside.back()["why_in_words"] = why_aside_words(one.why, style.model);
    }
    Json unknown = Json::array();
    for (const UnknownLine& line : judged.image().unknown) {
        unknown.push_back({{"line", line.number},
                           {"name", line.name},
                           {"why", line.why},
                           {"suggestion", line.suggestion}});
    }
    return {{"headline", headline(judged, explanation)},
            {"broken", broken},
            {"put_aside", aside},
            {"unchecked", missing_names(explanation)},
            {"rules",
             {{"all", vmx::checks::all_rules.size()},
              {"checked", explanation.checked()},
              {"unchecked", explanation.unchecked.size()},
              {"taken_as_kept", explanation.taken_as_kept}}},
            {"vm_entry", entry_json(judged)},
            {"remarks", explanation.remarks},
            {"notes", judged.image().notes},
            {"unknown", unknown},
            {"model", {{"name", style.model}, {"is_known", judged.model_is() == ModelIs::known}}},
            {"manual", manual_editions()}};
}

}  // namespace hvp::tool
