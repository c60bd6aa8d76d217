#include "tool/debug/stop_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "hypervisor/vmcs/names/field_names.hpp"
#include "tool/base/text.hpp"
#include "tool/replay/replayed_vmcs.hpp"

namespace hvp::tool {
namespace {

constexpr unsigned stack_words = 128;  // of four bytes
constexpr std::uint64_t address_bytes = 8;

constexpr auto shown_fields = std::to_array<std::uint32_t>({
    vmx::exit_reason.encoding,
    vmx::exit_qualification.encoding,
    vmx::exit_instruction_length.encoding,
    vmx::guest_rip.encoding,
    vmx::guest_rsp.encoding,
    vmx::guest_rflags.encoding,
    vmx::guest_cr0.encoding,
    vmx::guest_cr3.encoding,
    vmx::guest_cr4.encoding,
    vmx::guest_activity_state.encoding,
    vmx::guest_interruptibility_state.encoding,
    vmx::host_rip.encoding,
    vmx::host_rsp.encoding,
});

struct CodeOnStack {
    std::uint64_t at;
    std::uint64_t address;
};

std::uint64_t register_of(const Sight& sight, std::string_view name) {
    return sight.stop.find(name).value_or(0);
}

std::vector<CodeOnStack> code_on_stack(const Sight& sight) {
    // Where the kernel and drivers lie; the rest of the stack is no address of theirs.
    constexpr std::uint64_t images = 0xFFFF'F801'0000'0000;
    constexpr std::uint64_t images_end = 0xFFFF'F802'0000'0000;
    std::vector<CodeOnStack> code;
    const std::uint64_t rsp = register_of(sight, "rsp");
    for (std::uint64_t at = rsp; at < rsp + stack_words * 4; at += address_bytes) {
        const auto value = sight.stop.memory(at, address_bytes);
        if (value && *value >= images && *value < images_end) {
            code.push_back({.at = at, .address = *value});
        }
    }
    return code;
}

// `fffff801a5e52ad1: (                    ): sub rsp, 0x28 ; 4883ec28`
std::vector<std::string_view> disassembled_lines(std::string_view console) {
    std::vector<std::string_view> lines;
    while (!console.empty()) {
        const std::string_view line = take_line(console);
        constexpr std::size_t digits = 16;
        if (line.size() > digits && line.substr(digits).starts_with(": (") &&
            line.substr(0, digits).find_first_not_of("0123456789abcdef") == line.npos) {
            lines.push_back(line);
        }
    }
    return lines;
}

std::string words_of_place(const Sight& sight, const Position& here, const History& history) {
    if (here.exit != 0) {
        const History::Exit& exit = history.exit(here.exit);
        return fmt::format(
            "VMX root operation, right after VM exit {} of {}: {}, qualification {:#x}", here.exit,
            history.exits(), exit.reason, exit.qualification);
    }
    if (here.entry != 0) {
        return fmt::format("VMX root operation, right before VM entry {} of {}", here.entry,
                           history.entries());
    }
    if (history.is_in_guest(here)) {
        return "guest (VMX non-root operation)";
    }
    constexpr std::uint64_t vmx_enable = 1 << 13;
    return (register_of(sight, "cr4") & vmx_enable) == 0 ? "no VMX operation: CR4.VMXE is 0"
                                                         : "outside the guest; CR4.VMXE is 1";
}

}  // namespace

std::string look(std::optional<std::uint64_t> vmcs) {
    return fmt::format("regs\ncreg\nx /{}wx rsp\nu /8\n{}", stack_words,
                       vmcs ? show_vmcs(*vmcs) : "");
}

std::vector<std::uint64_t> addresses_in(const Sight& sight) {
    std::vector<std::uint64_t> addresses{register_of(sight, "rip")};
    for (const CodeOnStack& code : code_on_stack(sight)) {
        addresses.push_back(code.address);
    }
    if (sight.vmcs) {
        const ReplayedVmcs vmcs{sight.stop, *sight.vmcs};
        addresses.push_back(vmcs.read(vmx::guest_rip));
        addresses.push_back(vmcs.read(vmx::host_rip));
    }
    return addresses;
}

std::string place_text(const Sight& sight, const Position& here, const History& history,
                       const AddressNames& names) {
    return fmt::format("tick {} · processor 0 · {}\n  at {}\n", sight.stop.tick,
                       words_of_place(sight, here, history),
                       names.in_full(register_of(sight, "rip")));
}

std::string registers_text(const Sight& sight) {
    constexpr std::array shown{"rax", "rbx", "rcx", "rdx",    "rsi", "rdi", "rbp",
                               "rsp", "r8",  "r9",  "r10",    "r11", "r12", "r13",
                               "r14", "r15", "rip", "eflags", "cr0", "cr3", "cr4"};
    constexpr std::size_t in_a_line = 3;
    std::string text;
    for (std::size_t i = 0; i < shown.size(); ++i) {
        const auto value = sight.stop.find(shown[i]);
        const std::string shown_value = value ? fmt::format("{:#x}", *value) : "not shown";
        text += i % in_a_line == in_a_line - 1
                    ? fmt::format("  {:<6} = {}\n", shown[i], shown_value)
                    : fmt::format("  {:<6} = {:<18}", shown[i], shown_value);
    }
    return text;
}

std::string disassembly_text(const Sight& sight, const AddressNames& names) {
    std::string text = fmt::format("{}:\n", names.function_and_offset(register_of(sight, "rip")));
    for (const std::string_view line : disassembled_lines(sight.console)) {
        const std::size_t instruction = line.find("): ");
        text += fmt::format("  {}  {}\n", line.substr(0, line.find(':')),
                            instruction == line.npos ? "" : line.substr(instruction + 3));
    }
    return text;
}

std::string vmcs_text(const Sight& sight, const AddressNames& names) {
    if (!sight.vmcs) {
        return "no VMCS: no VMLAUNCH or VMRESUME before this tick\n";
    }
    std::string text = fmt::format("VMCS at physical address {:#x}:\n", *sight.vmcs);
    const ReplayedVmcs vmcs{sight.stop, *sight.vmcs};
    for (const std::uint32_t encoding : shown_fields) {
        const auto* const field =
            std::ranges::find(vmx::field_facts, encoding, &vmx::FieldFacts::encoding);
        const auto value = vmcs.find(encoding);
        if (field == vmx::field_facts.end() || !value) {
            continue;
        }
        const bool is_code =
            encoding == vmx::guest_rip.encoding || encoding == vmx::host_rip.encoding;
        text += fmt::format("  {:<28} = {:#x}{}\n", field->name, *value,
                            is_code ? "  " + names.in_full(*value) : "");
    }
    return text;
}

std::string stack_text(const Sight& sight, const AddressNames& names) {
    std::string text =
        "code addresses on the stack (calls that have returned may have left some):\n";
    for (const CodeOnStack& code : code_on_stack(sight)) {
        text += fmt::format("  {:#x}  {}\n", code.at, names.caller_in_full(code.address));
    }
    return text;
}

}  // namespace hvp::tool
