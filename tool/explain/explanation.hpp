// Why a VM entry fails: the rules that a VMCS breaks, with what they are about, in words.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tool/explain/model_processor.hpp"
#include "tool/explain/rule_words.hpp"
#include "tool/explain/vmcs_image.hpp"
#include "tool/record/event.hpp"

namespace hvp::tool {

/// A VMCS with a processor to judge it by: what the image does not know of its own processor is
/// taken from the model, or is what it almost always is (CPL 0, outside SMM, a 64-bit VMM).
class Judged {
public:
    Judged(const VmcsImage& image, const ModelProcessor& model) : image_{image}, model_{model} {}

    [[nodiscard]] std::optional<std::uint64_t> find(std::uint32_t encoding) const {
        return image_.find(encoding);
    }
    [[nodiscard]] std::optional<std::uint64_t> msr(arch::Msr index) const;
    [[nodiscard]] std::optional<std::uint64_t> fact(vmx::checks::Fact fact) const;
    [[nodiscard]] std::optional<std::uint64_t> memory(std::uint64_t physical) const {
        return image_.memory(physical);
    }
    [[nodiscard]] std::optional<std::uint64_t> look_up(Item item) const;

private:
    const VmcsImage& image_;
    const ModelProcessor& model_;
};

struct BrokenRule {
    const EntryRule* rule;
    vmx::checks::CheckResult answer;
};

struct UncheckedRule {
    const EntryRule* rule;
    std::vector<Item> missing;
};

/// What can be said about a VMCS.
struct Explanation {
    std::vector<BrokenRule> broken;  ///< in the SDM's order
    /// Broken by the model's capabilities, though the exit reason says that the processor got past
    /// this group: it is another processor.
    std::vector<BrokenRule> passed;
    std::vector<UncheckedRule> unchecked;
};

[[nodiscard]] Explanation explain_image(const VmcsImage& image, const Judged& judged);

/// The fields that rules would have needed, each once.
[[nodiscard]] std::vector<std::string> missing_names(const Explanation& explanation);

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
[[nodiscard]] std::string explanation_text(const VmcsImage& image, const Judged& judged,
                                           const Explanation& explanation,
                                           const ExplanationStyle& style);

/// What `--json` prints; a contract.
[[nodiscard]] Json explanation_json(const VmcsImage& image, const Judged& judged,
                                    const Explanation& explanation);

}  // namespace hvp::tool
