#include "tool/run/refused_entry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "hypervisor/vmcs/instruction_error.hpp"
#include "tool/record/exit_pairs.hpp"

namespace hvp::tool {

std::optional<RefusedEntry> refused_entry(const Timeline& timeline) {
    const auto all = timeline.all("driver", "VmxInstructionFailed");
    const auto last = std::ranges::find_if(all | std::views::reverse,
                                           [](const Event* e) { return is_vm_entry(*e); });
    if (last == (all | std::views::reverse).end()) {
        return std::nullopt;
    }
    const Event& failed = **last;
    const auto number = static_cast<std::uint32_t>(failed.number("error_number"));
    RefusedEntry refused{.instruction = failed.text("instruction"),
                         .why = number == 0 ? failed.text("result")
                                            : fmt::format("VM-instruction error {}, {}", number,
                                                          vmx::instruction_error_name(number)),
                         .rule = {},
                         .remedy = {}};
    const auto* const error = std::ranges::find(entry_errors, number, &EntryError::number);
    if (error != entry_errors.end()) {
        refused.why += fmt::format(": {}", error->what_was_done);
        refused.rule = error->rule;
        refused.remedy = error->remedy;
    }
    return refused;
}

}  // namespace hvp::tool
