#include "tool/record/words/qualification_words.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <string_view>

#include "hypervisor/ept/violation.hpp"
#include "hypervisor/vmcs/exit_qualification.hpp"

namespace hvp::tool {
namespace {

constexpr std::array<std::string_view, 16> general_registers{
    "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
    "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};

// [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-3]
std::string control_register_words(std::uint64_t qualification) {
    const auto access = std::bit_cast<vmx::ControlRegisterAccess>(qualification);
    const auto number = static_cast<unsigned>(access.number);
    const std::string_view general = general_registers[access.general_register];
    switch (access.operation()) {
        case vmx::ControlRegisterOperation::move_to:
            return fmt::format("MOV from {} to CR{}", general, number);
        case vmx::ControlRegisterOperation::move_from:
            return fmt::format("MOV from CR{} to {}", number, general);
        case vmx::ControlRegisterOperation::clts:
            return "CLTS";
        case vmx::ControlRegisterOperation::lmsw:
            return fmt::format("LMSW of {:#x}", static_cast<unsigned>(access.lmsw_source));
    }
    return {};
}

// [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-5]
std::string io_words(std::uint64_t qualification) {
    const auto access = std::bit_cast<vmx::IoAccess>(qualification);
    const auto bytes = static_cast<unsigned>(access.bytes_minus_1) + 1;
    return fmt::format("{} port {:#x}, {} byte{}{}{}", access.is_in != 0 ? "IN from" : "OUT to",
                       static_cast<unsigned>(access.port), bytes, bytes == 1 ? "" : "s",
                       access.is_string != 0 ? ", string" : "", access.has_rep != 0 ? ", REP" : "");
}

// [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-1]
std::string debug_words(std::uint64_t qualification) {
    std::string text;
    const auto add = [&](unsigned bit, std::string_view name) {
        if ((qualification >> bit & 1) != 0) {
            text += fmt::format("{}{}", text.empty() ? "" : " ", name);
        }
    };
    add(0, "B0");
    add(1, "B1");
    add(2, "B2");
    add(3, "B3");
    add(13, "BD");
    add(14, "BS");
    return text;
}

// Every bit of it.  [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-7]
std::string ept_violation_words(std::uint64_t qualification) {
    const auto access = std::bit_cast<ept::ViolationQualification>(qualification);
    std::string text;
    const auto add = [&](bool holds, std::string_view words) {
        if (holds) {
            text += text.empty() ? "" : " and ";
            text += words;
        }
    };
    add(access.read != 0, "read");
    add(access.write != 0, "write");
    add(access.execute != 0, "fetch");
    if (access.linear_address_valid != 0) {
        text += access.final_access != 0 ? "" : " of a paging structure";
    } else {
        text += ", no linear address";
    }
    text += fmt::format("; mapped {}{}{}", access.readable != 0 ? 'r' : '-',
                        access.writable != 0 ? 'w' : '-', access.executable != 0 ? 'x' : '-');
    // These are defined only with mode-based execute control and with advanced information: where
    // they are set, they are shown.
    const auto also = [&](bool holds, std::string_view words) {
        text += holds ? fmt::format("; {}", words) : "";
    };
    also(access.user_executable != 0, "executable in user mode");
    also(access.user_linear_address != 0, "a user-mode address");
    also(access.linear_address_writable != 0, "a writable page of the guest");
    also(access.linear_address_execute_disable != 0, "an execute-disable page of the guest");
    also(access.nmi_unblocking_by_iret != 0, "NMIs unblocked by IRET");
    if (access.reserved_63_13 != 0) {
        text += fmt::format("; reserved bits {:#x}", qualification >> 13 << 13);
    }
    return text;
}

// Which rule of VM entry's failure the qualification hints at.
// [SDM 3C 26.7 "VM-Entry Failures During or After Loading Guest State"]
std::string entry_failure_words(std::uint64_t qualification) {
    switch (qualification) {
        case 0:
            return "most rules of the guest state give 0";
        case 2:
            return "a problem with the PDPTEs (26.3.1.6)";
        case 3:
            return "an NMI under blocking by STI (26.3.1.5)";
        case 4:
            return "the VMCS link pointer (26.3.1.5)";
        default:
            return "";
    }
}

}  // namespace

std::string qualification_words(vmx::ExitReason reason, std::uint64_t qualification) {
    switch (vmx::facts_of(reason).qualification) {
        case vmx::Qualification::debug_or_page_fault:
            return debug_words(qualification);
        case vmx::Qualification::control_register_access:
            return control_register_words(qualification);
        case vmx::Qualification::io_instruction:
            return io_words(qualification);
        case vmx::Qualification::entry_failure:
            return entry_failure_words(qualification);
        case vmx::Qualification::msr_area_entry:
            return fmt::format("entry {} of the VM-entry MSR-load area, from 1", qualification);
        case vmx::Qualification::ept_violation:
            return ept_violation_words(qualification);
        case vmx::Qualification::none:
        case vmx::Qualification::startup_vector:
        case vmx::Qualification::task_switch:
        case vmx::Qualification::linear_address:
        case vmx::Qualification::displacement:
        case vmx::Qualification::debug_register_access:
        case vmx::Qualification::mwait:
        case vmx::Qualification::apic_access:
        case vmx::Qualification::eoi_vector:
        case vmx::Qualification::apic_write:
        case vmx::Qualification::nmi_unblocking:
            return {};
    }
    return {};
}

}  // namespace hvp::tool
