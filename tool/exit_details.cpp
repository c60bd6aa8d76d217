#include "tool/exit_details.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

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
            return "LMSW";
    }
}

}  // namespace

std::string exit_details(const Event& exit) {
    const bool has_detail = exit.fields.contains("detail");
    switch (exit.number("reason_number")) {
        case 10:
            return has_detail ? fmt::format("leaf {:#x}", exit.number("detail")) : "";
        case 18:
            return has_detail ? fmt::format("call {:#x}", exit.number("detail")) : "";
        case 28:
            return control_register(exit.number("qualification"));
        case 31:
        case 32:
            return has_detail ? fmt::format("MSR {:#x}", exit.number("detail")) : "";
        default:
            return "";
    }
}

}  // namespace hvp::tool
