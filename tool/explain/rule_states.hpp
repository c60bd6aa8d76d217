// What became of each rule of VM entry, for a VMCS that was accepted: kept, broken, not checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tool/explain/judged.hpp"
#include "tool/explain/texts/rule_words.hpp"
#include "tool/record/event.hpp"

namespace hvp::tool {

struct RuleState {
    enum class Kind : std::uint8_t {
        kept,
        broken,
        unchecked,  ///< a field, MSR or memory that it needs is not known
        assumed,    ///< it depends on how VM entry is executed and where: taken as kept
    };

    const EntryRule* rule;
    Kind kind{};
    std::vector<Item> missing{};  ///< of an unchecked rule

    friend bool operator==(const RuleState&, const RuleState&) = default;
};

/// Returns  the state of every rule, in the SDM's order
[[nodiscard]] std::vector<RuleState> rule_states(const Judged& judged);

/// Returns  the states for people, by the SDM's sections
[[nodiscard]] std::string rule_states_text(const std::vector<RuleState>& states, std::size_t width);

/// Returns  `[{"rule": "…", "state": "kept"}]`
[[nodiscard]] Json rule_states_json(const std::vector<RuleState>& states);

}  // namespace hvp::tool
