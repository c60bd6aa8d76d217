#include "tool/vmcs/vmcs_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <string_view>
#include <vector>

#include "hypervisor/vmcs/citation.hpp"
#include "hypervisor/vmcs/control_msrs.hpp"
#include "hypervisor/vmcs/exit_reason.hpp"
#include "hypervisor/vmcs/names/control_meanings.hpp"
#include "hypervisor/vmcs/names/field_names.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "tool/explain/texts/value_words.hpp"
#include "tool/record/words/manual.hpp"
#include "tool/record/words/qualification_words.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {
namespace {

using vmx::Area;
using vmx::FieldFacts;
using vmx::Shape;

// The SDM's groups, in its order. Of controls, those of execution, exit and entry share an area.
struct Group {
    std::string_view name;
    vmx::Citation section;
    bool (*has)(const FieldFacts&);
};

bool is_of_exit(const FieldFacts& field) {
    return std::string_view{field.name}.starts_with("VM-exit");
}
bool is_of_entry(const FieldFacts& field) {
    return std::string_view{field.name}.starts_with("VM-entry");
}

constexpr std::array groups{
    Group{"Guest state",
          {"3C", "24.4", "Guest-State Area"},
          [](const FieldFacts& field) { return field.area() == Area::guest; }},
    Group{"Host state",
          {"3C", "24.5", "Host-State Area"},
          [](const FieldFacts& field) { return field.area() == Area::host; }},
    Group{"VM-execution controls",
          {"3C", "24.6", "VM-Execution Control Fields"},
          [](const FieldFacts& field) {
              return field.area() == Area::control && !is_of_exit(field) && !is_of_entry(field);
          }},
    Group{
        "VM-exit controls",
        {"3C", "24.7", "VM-Exit Control Fields"},
        [](const FieldFacts& field) { return field.area() == Area::control && is_of_exit(field); }},
    Group{"VM-entry controls",
          {"3C", "24.8", "VM-Entry Control Fields"},
          [](const FieldFacts& field) {
              return field.area() == Area::control && is_of_entry(field);
          }},
    Group{"VM-exit information",
          {"3C", "24.9", "VM-Exit Information Fields"},
          [](const FieldFacts& field) { return field.area() == Area::exit_information; }},
};

bool has_changed(const RecordedState& state, const RecordedState* before, std::uint32_t encoding) {
    if (before == nullptr) {
        return false;
    }
    const auto now = state.fields.find(encoding);
    const auto then = before->fields.find(encoding);
    return now != state.fields.end() && then != before->fields.end() && now->second != then->second;
}

std::string name_of(const RecordedState& state) {
    return fmt::format("{} {}", word_of(state.moment), state.number);
}

std::string reason_words(const RecordedState& state) {
    const auto reason = state.fields.find(vmx::exit_reason.encoding);
    return state.moment == RecordedState::Moment::exit && reason != state.fields.end()
               ? ": " + value_words(Shape::exit_reason, reason->second)
               : "";
}

std::optional<vmx::ControlMsrs> msrs_of(Shape shape) {
    switch (shape) {
        case Shape::pin_controls:
            return vmx::msrs_for(arch::Flags<vmx::PinControl>{});
        case Shape::primary_controls:
            return vmx::msrs_for(arch::Flags<vmx::PrimaryControl>{});
        case Shape::secondary_controls:
            return vmx::msrs_for(arch::Flags<vmx::SecondaryControl>{});
        case Shape::exit_controls:
            return vmx::msrs_for(arch::Flags<vmx::ExitControl>{});
        case Shape::entry_controls:
            return vmx::msrs_for(arch::Flags<vmx::EntryControl>{});
        default:
            return std::nullopt;
    }
}

// The bits that this processor does not let be 0.
std::uint64_t forced_bits(Shape shape, const ModelProcessor* processor) {
    const auto msrs = msrs_of(shape);
    if (processor == nullptr || !msrs) {
        return 0;
    }
    const auto basic = processor->msr(arch::Msr::vmx_basic);
    const bool has_true = basic && std::bit_cast<vmx::VmxBasic>(*basic).has_true_controls != 0;
    const auto capability = processor->msr(has_true ? msrs->true_capability : msrs->plain);
    return capability ? vmx::ControlCapability::from_msr(*capability).must_be_one : 0;
}

std::string control_lines(const FieldFacts& field, std::uint64_t value, std::uint64_t changed,
                          std::uint64_t forced) {
    const auto names = names_of_bits(field.shape);
    std::string text;
    for (const vmx::ControlMeaning& control : vmx::control_meanings(field.shape)) {
        const bool is_one = (value & control.mask) != 0;
        const bool differs = (changed & control.mask) != 0;
        if (!is_one && !differs) {
            continue;
        }
        const auto name =
            std::ranges::find(names, std::uint64_t{control.mask}, &vmx::BitName::mask);
        text += fmt::format("{}     {} bit {:>2} {}: {}{}\n", differs ? "*" : " ", is_one ? 1 : 0,
                            std::countr_zero(control.mask), name->name, control.effect,
                            (forced & control.mask) != 0 ? " (always 1 on this processor)" : "");
    }
    if ((forced & value) != 0) {
        std::uint64_t unnamed = forced & value;
        for (const vmx::BitName& name : names) {
            unnamed &= ~name.mask;
        }
        if (unnamed != 0) {
            text += fmt::format("      1 {}: reserved, always 1 on this processor\n",
                                bit_numbers(unnamed));
        }
    }
    return text;
}

// The meaning of a qualification depends on the exit.
std::string words_for(const FieldFacts& field, std::uint64_t value, const RecordedState& state) {
    const auto reason = state.fields.find(vmx::exit_reason.encoding);
    if (field.encoding != vmx::exit_qualification.encoding || reason == state.fields.end()) {
        return value_words(field.shape, value);
    }
    const auto whole =
        std::bit_cast<vmx::ExitReasonField>(static_cast<std::uint32_t>(reason->second));
    return qualification_words(static_cast<vmx::ExitReason>(whole.basic_reason), value);
}

std::string field_lines(const FieldFacts& field, const RecordedState& state,
                        const RecordedState* before, const VmcsTextStyle& style) {
    const std::uint64_t value = state.fields.at(field.encoding);
    const bool differs = has_changed(state, before, field.encoding);
    if (value == 0 && !differs && !style.all_fields) {
        return "";
    }
    const bool is_word_of_controls = !vmx::control_meanings(field.shape).empty();
    const std::string words = is_word_of_controls ? "" : words_for(field, value, state);
    std::string text = fmt::format("{} {:<48} {:#06x}  {:#x}{}{}", differs ? "*" : " ", field.name,
                                   field.encoding, value, words.empty() ? "" : "  ", words);
    if (differs) {
        text += fmt::format("  (was {:#x})", before->fields.at(field.encoding));
    }
    text += '\n';
    if (is_word_of_controls) {
        const std::uint64_t changed = differs ? value ^ before->fields.at(field.encoding) : 0;
        text += control_lines(field, value, changed, forced_bits(field.shape, style.processor));
    }
    return text;
}

std::string register_lines(const RecordedState& state, const RecordedState* before) {
    std::string text = "Registers that the VMCS does not have\n";
    constexpr std::size_t in_a_line = 3;
    std::size_t column = 0;
    for (const char* name : recorded_registers) {
        if (!state.registers.contains(name)) {
            continue;
        }
        const std::uint64_t value = state.registers.at(name);
        const bool differs = before != nullptr && before->registers.contains(name) &&
                             before->registers.at(name) != value;
        text += fmt::format("{} {:<3} = {:#018x}{}", differs ? "*" : " ", name, value,
                            ++column % in_a_line == 0 ? "\n" : "  ");
    }
    return column % in_a_line == 0 ? text : text + "\n";
}

}  // namespace

std::string vmcs_text(const RecordedState& state, const RecordedState* before,
                      const VmcsTextStyle& style) {
    std::string text = fmt::format("{}{}, at instruction {}; VMCS {:#x}\n", name_of(state),
                                   reason_words(state), grouped(state.t), state.vmcs);
    if (!state.place.empty() || !state.instruction.empty()) {
        text += fmt::format("Guest RIP: {}{}{}\n", state.place,
                            state.place.empty() || state.instruction.empty() ? "" : ": ",
                            state.instruction);
    }
    if (before != nullptr) {
        text += fmt::format("* has changed since {}.\n", name_of(*before));
    }
    if (!style.all_fields) {
        text += "Fields that are 0 are left out; --all shows them.\n";
    }
    for (const Group& group : groups) {
        std::string lines;
        for (const FieldFacts& field : vmx::field_facts) {
            if (group.has(field) && state.fields.contains(field.encoding)) {
                lines += field_lines(field, state, before, style);
            }
        }
        if (!lines.empty()) {
            text +=
                fmt::format("\n{}  {}\n{}", group.name, citation_for_readers(group.section), lines);
        }
    }
    return text + "\n" + register_lines(state, before);
}

std::string vmcs_difference(const RecordedState& from, const RecordedState& to) {
    std::string text = fmt::format("from {}{} to {}{}\n", name_of(from), reason_words(from),
                                   name_of(to), reason_words(to));
    const std::size_t head = text.size();
    for (const Group& group : groups) {
        std::string lines;
        for (const FieldFacts& field : vmx::field_facts) {
            if (!group.has(field) || !has_changed(to, &from, field.encoding)) {
                continue;
            }
            const auto shown = [&](const RecordedState& state) {
                const std::uint64_t value = state.fields.at(field.encoding);
                const std::string words = words_for(field, value, state);
                return fmt::format("{:#x}{}{}", value, words.empty() ? "" : "  ", words);
            };
            lines += fmt::format("  {} ({:#06x})\n    {}\n    {}\n", field.name, field.encoding,
                                 shown(from), shown(to));
        }
        text += lines.empty() ? "" : fmt::format("\n{}\n{}", group.name, lines);
    }
    std::string registers;
    for (const auto& [name, value] : to.registers) {
        const auto old = from.registers.find(name);
        if (old != from.registers.end() && old->second != value) {
            registers += fmt::format("  {:<3}   {:#018x}  {:#018x}\n", name, old->second, value);
        }
    }
    text += registers.empty() ? "" : "\nRegisters\n" + registers;
    return text.size() == head ? text + "nothing differs\n" : text;
}

Json vmcs_json(const RecordedState& state, const RecordedState* before) {
    Json fields = Json::array();
    for (const auto& [encoding, value] : state.fields) {
        const FieldFacts* facts = vmx::find_field(encoding);
        const std::string words = facts == nullptr ? "" : words_for(*facts, value, state);
        Json field{{"encoding", fmt::format("{:#x}", encoding)},
                   {"name", facts == nullptr ? Json() : Json(facts->name)},
                   {"value", fmt::format("{:#x}", value)},
                   {"words", words.empty() ? Json() : Json(words)}};
        field["was"] = has_changed(state, before, encoding)
                           ? Json(fmt::format("{:#x}", before->fields.at(encoding)))
                           : Json();
        fields.push_back(std::move(field));
    }
    Json registers = Json::object();
    for (const auto& [name, value] : state.registers) {
        registers[name] = fmt::format("{:#x}", value);
    }
    return {{"at", word_of(state.moment)},
            {"n", state.number},
            {"cpu", state.cpu},
            {"t", state.t},
            {"vmcs", fmt::format("{:#x}", state.vmcs)},
            {"place", state.place.empty() ? Json() : Json(state.place)},
            {"instruction", state.instruction.empty() ? Json() : Json(state.instruction)},
            {"fields", std::move(fields)},
            {"registers", std::move(registers)}};
}

}  // namespace hvp::tool
