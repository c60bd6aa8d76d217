// The sentences about how a VM entry went, in one place: what the tool says of an exit status, an
// exit reason, a VM-instruction error, and of rules that do not count.
#pragma once

#include <string>
#include <string_view>

#include "tool/base/options.hpp"
#include "tool/explain/explanation.hpp"

namespace hvp::tool {

/// The first line: whether VM entry fails, and how many rules that is based on.
[[nodiscard]] std::string headline(const Judged& judged, const Explanation& explanation);

/// What the exit reason and the VM-instruction error of the dump say; empty where it has neither.
[[nodiscard]] std::string what_the_processor_said(const Judged& judged);

/// Why rules were put aside, and what to do about it.
[[nodiscard]] std::string why_aside_words(WhyAside why, std::string_view model);

/// The word for it in JSON.
[[nodiscard]] std::string_view why_aside_name(WhyAside why);
[[nodiscard]] std::string_view outcome_name(EntryOutcome outcome);

/// What a VM-instruction error of VM entry means for the one who looks for the cause; empty for
/// other errors.
[[nodiscard]] std::string_view advice_on_error(std::uint32_t error);

/// What `explain` returns: 0 says something of a VMCS, so it needs a rule that was checked.
[[nodiscard]] ExitStatus status_of(const Judged& judged, const Explanation& explanation);

}  // namespace hvp::tool
