#include "tool/record/state_changes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "hypervisor/vmcs/names/bit_names.hpp"

namespace hvp::tool {
namespace {

struct Register {
    std::string_view item;
    std::span<const vmx::BitName> names;
};

constexpr std::array registers{
    Register{"CR0", vmx::cr0_names},           Register{"CR4", vmx::cr4_names},
    Register{"RFLAGS", vmx::rflags_names},     Register{"EFER", vmx::efer_names},
    Register{"DEBUGCTL", vmx::debugctl_names},
};

}  // namespace

std::string changed_bits(std::string_view item, std::uint64_t before, std::uint64_t after) {
    const auto* const found = std::ranges::find(registers, item, &Register::item);
    std::string text;
    if (found == registers.end()) {
        return text;
    }
    for (const vmx::BitName& bit : found->names) {
        if (((before ^ after) & bit.mask) != 0) {
            text += fmt::format("{}{} is {} now", text.empty() ? "" : ", ", bit.name,
                                (after & bit.mask) != 0 ? 1 : 0);
        }
    }
    return text;
}

std::string state_advice(std::string_view item, std::uint64_t after) {
    // [SDM 3C 27.5.2 "Loading Host Segment and Descriptor-Table Registers"]
    constexpr std::uint64_t limit_after_exit = 0xFFFF;
    if (after != limit_after_exit || (item != "GDTR limit" && item != "IDTR limit")) {
        return "";
    }
    return fmt::format(
        "a VM exit sets it to 0xffff; execute {} with the limit of before, after the last exit. "
        "Windows looks at it now and then, and ends with bug check 0x109",
        item == "GDTR limit" ? "LGDT" : "LIDT");
}

std::string StateChange::processors() const {
    std::vector<unsigned> cpus;
    cpus.reserve(events.size());
    for (const Event* event : events) {
        cpus.push_back(event->cpu);
    }
    std::ranges::sort(cpus);
    if (cpus.size() == 1) {
        return fmt::format("processor {}", cpus.front());
    }
    const bool in_a_row = cpus.back() - cpus.front() + 1 == cpus.size() && cpus.size() > 2;
    return in_a_row ? fmt::format("processors {} to {}", cpus.front(), cpus.back())
                    : fmt::format("processors {}", fmt::join(cpus, ", "));
}

std::string StateChange::change() const {
    const Event& event = *events.front();
    const std::string item = event.text("item");
    std::string text =
        fmt::format("{} was {}, is {}", item, event.text("before"), event.text("after"));
    for (const std::string& more :
         {changed_bits(item, event.number("before"), event.number("after")),
          state_advice(item, event.number("after"))}) {
        text += more.empty() ? "" : ": " + more;
    }
    return text;
}

std::vector<StateChange> state_changes(const Timeline& timeline, std::string_view name) {
    std::vector<StateChange> changes;
    for (const Event* event : timeline.all("lab", name)) {
        const auto same = std::ranges::find_if(changes, [&](const StateChange& change) {
            const Event& first = *change.events.front();
            return std::ranges::all_of(
                       std::array{"item", "before", "after"},
                       [&](auto field) { return first.text(field) == event->text(field); }) &&
                   std::ranges::none_of(change.events,
                                        [&](const Event* one) { return one->cpu == event->cpu; });
        });
        if (same == changes.end()) {
            changes.push_back({{event}});
        } else {
            same->events.push_back(event);
        }
    }
    return changes;
}

}  // namespace hvp::tool
