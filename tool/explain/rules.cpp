#include "tool/explain/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "tool/base/nearest.hpp"
#include "tool/base/text.hpp"
#include "tool/explain/texts/rule_words.hpp"
#include "tool/record/words/manual.hpp"
#include "tool/story/terminal.hpp"

namespace hvp::tool {
namespace {

constexpr std::size_t few = 12;

std::string in_full(const EntryRule& rule, std::size_t width) {
    std::string text = fmt::format("{}  {}\n", rule_id(rule), rule_citation(rule));
    text += wrapped(rule_sentence(rule), 4, width);
    text += wrapped(rule_remedy(rule), 4, width);
    std::string items;
    for (const Item item : rule.items.all()) {
        items += (items.empty() ? "" : ", ") + item_name_with_number(item);
    }
    return text + wrapped("looks at " + items, 4, width) + "\n";
}

std::string as_list(const std::vector<const EntryRule*>& found, std::size_t width) {
    std::string text;
    const vmx::Citation* section = nullptr;
    for (const EntryRule* rule : found) {
        if (section != rule->section) {
            section = rule->section;
            const auto count = std::ranges::count(found, section, &EntryRule::section);
            const std::string newer = newer_section(section->volume, section->section);
            text += fmt::format("{}{} {}  ({} rule{}{})\n", text.empty() ? "" : "\n",
                                section->section, section->title, count, count == 1 ? "" : "s",
                                newer.empty() ? "" : "; 2022: " + newer);
        }
        text += fmt::format("  {}\n", rule_id(*rule));
        text += wrapped(rule_sentence(*rule), 6, width);
    }
    return text;
}

void complain_about(const std::string& word) {
    std::vector<std::string> known;
    for (const EntryRule& rule : vmx::checks::all_rules) {
        const std::string id = rule_id(rule);
        known.push_back(id);
        known.push_back(id.substr(id.find('-') + 1));  // without "guest-" or "host-"
    }
    const std::string near = nearest(word, known);
    fmt::print(stderr, "playground: no rule has {}{}\n", printable(word),
               near.empty() ? "; ./playground rules shows all of them"
                            : fmt::format("; did you mean {}?", near));
}

}  // namespace

ExitStatus rules(const RulesOptions& options) {
    if (options.page) {
        fmt::print("{}", rules_page());
        return ExitStatus::passed;
    }
    const std::vector<const EntryRule*> found = rules_matching(options.word);
    if (found.empty()) {
        complain_about(options.word);
        return ExitStatus::bad_usage;
    }
    const std::size_t width = layout_of_output().width;
    if (found.size() > few) {
        fmt::print("{}\n{} rules; a word or a section chooses, and few are shown in full\n{}",
                   as_list(found, width), found.size(), wrapped(manual_editions(), 0, width));
        return ExitStatus::passed;
    }
    for (const EntryRule* rule : found) {
        fmt::print("{}", in_full(*rule, width));
    }
    fmt::print("{}", wrapped(manual_editions(), 0, width));
    return ExitStatus::passed;
}

}  // namespace hvp::tool
