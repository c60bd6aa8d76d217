#include "tool/record/failed_instruction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hvp::tool {
namespace {

constexpr std::uint32_t invalid_control = 7;
constexpr std::uint32_t invalid_host_state = 8;

// What of a line's words says which instruction it is about, and with which error it ended. With no
// current VMCS there is no place for a number: VMfailInvalid. VMXON has none to be current.
// [SDM 3C 30.2 "Conventions"] [SDM 3C 30.4 "VM Instruction Error Numbers", Table 30-1]
struct LineFacts {
    std::string_view part;
    std::string_view instruction;
    std::uint32_t error_number;
};
constexpr auto known_lines = std::to_array<LineFacts>({
    {"VMLAUNCH with invalid VMCS ptr", "VMLAUNCH", 0},
    {"VMLAUNCH with interrupts blocked by MOV_SS", "VMLAUNCH", 26},
    {"VMLAUNCH with non-clear VMCS", "VMLAUNCH", 4},
    {"VMRESUME with non-launched VMCS", "VMRESUME", 5},
    {"VMXON: ", "VMXON", 0},
    {"VMFAIL: invalid or not page aligned physical address", "VMPTRLD", 9},
    {"VMPTRLD with VMXON ptr", "VMPTRLD", 10},
    {"VMPTRLD: not expected", "VMPTRLD", 11},
    {"VMCLEAR with invalid physical address", "VMCLEAR", 2},
    {"VMLEAR with VMXON ptr", "VMCLEAR", 3},
});

constexpr auto compared = std::to_array<std::string_view>(
    {"VMXON", "VMCLEAR", "VMPTRLD", "VMCLEAR and VMPTRLD", "VMLAUNCH", "VMRESUME", "VM entry"});

}  // namespace

bool FailedInstruction::is_vm_entry() const {
    return instruction == "VMLAUNCH" || instruction == "VMRESUME" || instruction == "VM entry";
}

std::optional<FailedInstruction> logged_failure(std::string_view text, std::string_view entry) {
    const auto* const known = std::ranges::find_if(
        known_lines, [&](const LineFacts& line) { return text.contains(line.part); });
    if (known != known_lines.end()) {
        // The emulator says VMLAUNCH where it checks for both instructions.
        const bool is_entry = known->instruction == "VMLAUNCH" && !entry.empty();
        return FailedInstruction{std::string{is_entry ? entry : known->instruction},
                                 known->error_number, std::string{text}};
    }
    if (entry.empty() || !text.starts_with("VMFAIL: ")) {
        return std::nullopt;
    }
    const bool is_host_state = text.contains(" host ") || text.contains("/host(");
    return FailedInstruction{std::string{entry},
                             is_host_state ? invalid_host_state : invalid_control,
                             std::string{text}};
}

std::optional<FailedInstruction> reported_failure(const Event& event) {
    FailedInstruction failure{
        .instruction = event.text("instruction"),
        .error_number = static_cast<std::uint32_t>(event.number("error_number")),
        .words = {}};
    // VMXON with a number was executed in VMX root operation: Bochs 2.7 logs nothing then.
    const bool is_second_vmxon = failure.instruction == "VMXON" && failure.error_number != 0;
    if (is_second_vmxon || std::ranges::find(compared, failure.instruction) == compared.end()) {
        return std::nullopt;
    }
    failure.words = fmt::format("{}: {}", failure.instruction,
                                failure.error_number == 0
                                    ? event.text("result")
                                    : fmt::format("VM-instruction error {}", failure.error_number));
    return failure;
}

bool reports_failure(const FailedInstruction& reported, const FailedInstruction& logged) {
    const bool same_instruction = reported.instruction == "VM entry"
                                      ? logged.is_vm_entry()
                                      : reported.instruction.contains(logged.instruction);
    // With a current VMCS, VMXON, VMCLEAR and VMPTRLD have a number, too; the line does not say
    // whether there was one.
    const bool may_be_invalid = !logged.is_vm_entry();
    return same_instruction && (reported.error_number == logged.error_number ||
                                (may_be_invalid && reported.error_number == 0) ||
                                (may_be_invalid && logged.error_number == 0));
}

}  // namespace hvp::tool
