// Why a VM entry fails: the rules that a VMCS breaks, with what they are about, in words.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tool/explain/judged.hpp"
#include "tool/record/event.hpp"

namespace hvp::tool {

struct BrokenRule {
    const EntryRule* rule;
    vmx::checks::CheckResult answer;
    std::string likely;  ///< what was concluded for it from other fields; empty: nothing was
};

struct UncheckedRule {
    const EntryRule* rule;
    std::vector<Item> missing;
};

/// Why a rule that seems broken is none of the reasons.
enum class WhyAside : std::uint8_t {
    entered,      ///< the exit reason is an ordinary one: the VM entry had worked
    passed,       ///< the failure is one of a later group of checks
    model,        ///< only the model lacks what the VMCS asks for; the dump's processor may have it
    guests_view,  ///< CR0 or CR4 is the guest's own view, to which a VMM adds NE and VMXE
};

struct RuleAside {
    const EntryRule* rule;
    vmx::checks::CheckResult answer;
    WhyAside why;
};

/// What can be said about a VMCS.
struct Explanation {
    std::vector<BrokenRule> broken;  ///< in the SDM's order
    std::vector<RuleAside> aside;
    std::vector<UncheckedRule> unchecked;
    /// Rules that depend on nothing in the dump, but on how VM entry is executed and where: taken
    /// as kept.
    std::size_t taken_as_kept = 0;
    /// What else is to be said about values that break no rule.
    std::vector<std::string> remarks;

    [[nodiscard]] std::size_t checked() const {
        return vmx::checks::all_rules.size() - unchecked.size() - taken_as_kept;
    }
};

[[nodiscard]] Explanation explain_image(const Judged& judged);

/// The fields that rules would have needed, each once.
[[nodiscard]] std::vector<std::string> missing_names(const Explanation& explanation);

/// A rule names the TRUE capability MSR; a processor may have the plain one only.
[[nodiscard]] Item that_it_has(Item item, const Judged& judged);

/// Returns  where our code writes a field: `stages/launch/driver.cpp:271`; empty when that is not
///          asked for
using WhereSet = std::function<std::string(Item)>;

/// How an explanation is written.
struct ExplanationStyle {
    std::string_view model;
    std::size_t width = 100;
    WhereSet where_set = {};
};

/// Text for people: one screen, however many rules are broken.
[[nodiscard]] std::string explanation_text(const Judged& judged, const Explanation& explanation,
                                           const ExplanationStyle& style);

/// What `--json` prints; a contract.
[[nodiscard]] Json explanation_json(const Judged& judged, const Explanation& explanation,
                                    const ExplanationStyle& style);

/// Returns  whether VM entry fails or has failed, as far as can be said
[[nodiscard]] bool is_a_failure(const Judged& judged, const Explanation& explanation);

}  // namespace hvp::tool
