#include "tool/explain/rule_states.hpp"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string_view>

namespace hvp::tool {
namespace {

using Kind = RuleState::Kind;

RuleState state_of(const EntryRule& rule, const Judged& judged) {
    judged.forget_questions();
    vmx::checks::VmcsUnderTest x{judged, judged};
    const bool broken = rule.check(x).broken;
    const std::span<const Item> missing = x.missing();
    if (!missing.empty()) {
        return {
            .rule = &rule, .kind = Kind::unchecked, .missing = {missing.begin(), missing.end()}};
    }
    if (broken) {
        return {.rule = &rule, .kind = Kind::broken};
    }
    return {.rule = &rule, .kind = judged.has_asked_the_dump() ? Kind::kept : Kind::assumed};
}

std::string_view name_of(Kind kind) {
    switch (kind) {
        case Kind::kept:
            return "kept";
        case Kind::broken:
            return "broken";
        case Kind::unchecked:
            return "not checked";
        case Kind::assumed:
            return "taken as kept";
    }
    return "";
}

std::string missing_words(const RuleState& state) {
    std::string words;
    for (const Item item : state.missing) {
        words += (words.empty() ? "" : ", ") + item_name(item);
    }
    return words;
}

}  // namespace

std::vector<RuleState> rule_states(const Judged& judged) {
    std::vector<RuleState> states;
    for (const EntryRule& rule : vmx::checks::all_rules) {
        states.push_back(state_of(rule, judged));
    }
    return states;
}

std::string rule_states_text(const std::vector<RuleState>& states, std::size_t width) {
    constexpr std::array kinds{Kind::broken, Kind::unchecked, Kind::assumed, Kind::kept};
    std::string text;
    for (std::size_t first = 0; first < states.size();) {
        const std::string citation = rule_citation(*states[first].rule);
        std::size_t end = first;
        while (end < states.size() && rule_citation(*states[end].rule) == citation) {
            ++end;
        }
        text += citation + "\n";
        for (const Kind kind : kinds) {
            std::string list;
            for (std::size_t i = first; i < end; ++i) {
                if (states[i].kind == kind) {
                    list += (list.empty() ? "" : ", ") + rule_id(*states[i].rule);
                    list += kind == Kind::unchecked
                                ? fmt::format(" (needs {})", missing_words(states[i]))
                                : "";
                }
            }
            text +=
                list.empty() ? "" : wrapped(fmt::format("{}: {}", name_of(kind), list), 2, width);
        }
        first = end;
    }
    return text;
}

Json rule_states_json(const std::vector<RuleState>& states) {
    Json all = Json::array();
    for (const RuleState& state : states) {
        Json one = {{"rule", rule_id(*state.rule)}, {"state", name_of(state.kind)}};
        if (!state.missing.empty()) {
            one["needs"] = missing_words(state);
        }
        all.push_back(std::move(one));
    }
    return all;
}

}  // namespace hvp::tool
