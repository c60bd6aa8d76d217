#include "tool/record/exit_details.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "hypervisor/vmcs/names/exception_names.hpp"

namespace hvp::tool {
namespace {

constexpr std::array<std::string_view, 16> general_registers{
    "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
    "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};

std::string control_register(std::uint64_t qualification) {
    const std::uint64_t number = qualification & 0xF;
    const std::string_view general = general_registers[qualification >> 8 & 0xF];
    switch (qualification >> 4 & 3) {
        case 0:
            return fmt::format("MOV from {} to CR{}", general, number);
        case 1:
            return fmt::format("MOV from CR{} to {}", number, general);
        case 2:
            return "CLTS";
        default:
            return fmt::format("LMSW of {:#x}", qualification >> 16 & 0xFFFF);
    }
}

/// Every bit of an EPT violation's qualification.
/// [SDM 3C 27.2.1 "Basic VM-Exit Information", Table 27-7]
std::string ept_violation(std::uint64_t qualification) {
    const auto bit = [&](unsigned number) { return (qualification >> number & 1) != 0; };
    std::string text;
    const auto add = [&](bool holds, std::string_view words) {
        if (holds) {
            text += text.empty() ? "" : " and ";
            text += words;
        }
    };
    add(bit(0), "read");
    add(bit(1), "write");
    add(bit(2), "fetch");
    if (bit(7)) {
        text += bit(8) ? "" : " of a paging structure";
    } else {
        text += ", no linear address";
    }
    text +=
        fmt::format("; mapped {}{}{}", bit(3) ? 'r' : '-', bit(4) ? 'w' : '-', bit(5) ? 'x' : '-');
    // Bit 6 means something only with mode-based execute control, bits 11:9 only where the
    // processor reports advanced information: where they are set, they are shown.
    const auto also = [&](unsigned number, std::string_view words) {
        text += bit(number) ? fmt::format("; {}", words) : "";
    };
    also(6, "executable in user mode");
    also(9, "a user-mode address");
    also(10, "a writable page of the guest");
    also(11, "an execute-disable page of the guest");
    also(12, "NMIs unblocked by IRET");
    if (const std::uint64_t reserved = qualification >> 13 << 13; reserved != 0) {
        text += fmt::format("; reserved bits {:#x}", reserved);
    }
    return text;
}

// The VM-exit interruption information.  [SDM 3C 24.9.2 "Information for VM Exits Due to Vectored
// Events"]
std::string exception_or_nmi(std::uint64_t information) {
    constexpr std::uint64_t nmi = 2;
    return (information >> 8 & 7) == nmi ? "NMI" : exception_name(information & 0xFF);
}

}  // namespace

std::string exit_details(const Event& exit) {
    const bool has_detail = exit.fields.contains("detail");
    switch (exit.number("reason_number")) {
        case 0:
            return has_detail ? exception_or_nmi(exit.number("detail")) : "";
        case 10:
            return has_detail ? fmt::format("leaf {:#x}", exit.number("detail")) : "";
        case 18:
            return has_detail ? fmt::format("call {:#x}", exit.number("detail")) : "";
        case 28:
            return control_register(exit.number("qualification"));
        case 31:
        case 32:
            return has_detail ? fmt::format("MSR {:#x}", exit.number("detail")) : "";
        case 48:
            return fmt::format("{}; guest-physical {:#x}",
                               ept_violation(exit.number("qualification")), exit.number("detail"));
        case 49:
            return has_detail ? fmt::format("guest-physical {:#x}", exit.number("detail")) : "";
        default:
            return "";
    }
}

std::string injected_event(const Event& exit) {
    constexpr std::uint64_t valid = 1ULL << 31;
    constexpr std::uint64_t external_interrupt = 0;
    constexpr std::uint64_t nmi = 2;
    constexpr std::uint64_t software_interrupt = 4;
    const std::uint64_t information =
        exit.fields.contains("injected") ? exit.number("injected") : 0;
    if ((information & valid) == 0) {
        return "";
    }
    const std::uint64_t vector = information & 0xFF;
    const std::uint64_t type = information >> 8 & 7;
    if (type == nmi) {
        return "NMI";
    }
    if (type == external_interrupt) {
        return fmt::format("interrupt {:#x}", vector);
    }
    if (type == software_interrupt) {
        return fmt::format("INT {:#x}", vector);
    }
    return exception_name(vector);
}

std::string exception_name(std::uint64_t vector) {
    const std::string_view mnemonic = vmx::exception_mnemonic(vector);
    return mnemonic.empty() ? fmt::format("exception {}", vector) : std::string{mnemonic};
}

std::string exit_words(const Event& exit, const HypercallNames& hypercalls) {
    constexpr std::uint64_t vmcall = 18;
    std::string details = exit_details(exit);
    if (exit.number("reason_number") == vmcall && exit.fields.contains("detail")) {
        const auto found = hypercalls.find(exit.number("detail"));
        details = found == hypercalls.end() ? details : found->second;
    }
    // These say it all.
    constexpr std::uint64_t control_register_access = 28;
    if (exit.number("reason_number") == control_register_access) {
        return details;
    }
    const std::string reason = exit.text("reason");
    if (!details.empty()) {
        return fmt::format("{} ({})", reason, details);
    }
    const std::uint64_t qualification = exit.number("qualification");
    return qualification == 0 ? reason
                              : fmt::format("{} (qualification {:#x})", reason, qualification);
}

}  // namespace hvp::tool
