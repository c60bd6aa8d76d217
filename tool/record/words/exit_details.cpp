#include "tool/record/words/exit_details.hpp"

#include <fmt/format.h>

#include <bit>
#include <string_view>

#include "hypervisor/vmcs/event_information.hpp"
#include "hypervisor/vmcs/names/exception_names.hpp"
#include "tool/record/words/qualification_words.hpp"

namespace hvp::tool {
namespace {

using vmx::ExitDetail;
using vmx::Qualification;

std::string detail_words(ExitDetail kind, std::uint64_t detail) {
    switch (kind) {
        case ExitDetail::interruption_information:
            return event_words(detail);
        case ExitDetail::cpuid_leaf:
            return fmt::format("leaf {:#x}", detail);
        case ExitDetail::hypercall:
            return fmt::format("call {:#x}", detail);
        case ExitDetail::msr:
            return fmt::format("MSR {:#x}", detail);
        case ExitDetail::guest_physical_address:
            return fmt::format("guest-physical {:#x}", detail);
        case ExitDetail::none:
        case ExitDetail::general_register:
            return {};
    }
    return {};
}

}  // namespace

ExitNumbers ExitNumbers::of(const Event& exit) {
    return {.reason = static_cast<vmx::ExitReason>(exit.number("reason_number")),
            .qualification = exit.number("qualification"),
            .detail = exit.fields.contains("detail") ? std::optional{exit.number("detail")}
                                                     : std::nullopt};
}

std::string exit_details(const ExitNumbers& exit) {
    const vmx::ExitReasonFacts facts = vmx::facts_of(exit.reason);
    std::string text;
    if (facts.qualification == Qualification::control_register_access ||
        facts.qualification == Qualification::ept_violation) {
        text = qualification_words(exit.reason, exit.qualification);
    }
    const std::string detail = exit.detail ? detail_words(facts.detail, *exit.detail) : "";
    return text + (text.empty() || detail.empty() ? "" : "; ") + detail;
}

std::string exit_words(const Event& exit, const HypercallNames& hypercalls) {
    const ExitNumbers numbers = ExitNumbers::of(exit);
    const vmx::ExitReasonFacts facts = vmx::facts_of(numbers.reason);
    std::string details = exit_details(numbers);
    if (facts.qualification == Qualification::control_register_access) {
        return details;  // it names the instruction
    }
    if (facts.detail == ExitDetail::hypercall && numbers.detail) {
        const auto name = hypercalls.find(*numbers.detail);
        details = name == hypercalls.end() ? details : name->second;
    }
    const std::string reason = exit.text("reason");
    if (!details.empty()) {
        return fmt::format("{} ({})", reason, details);
    }
    return numbers.qualification == 0
               ? reason
               : fmt::format("{} (qualification {:#x})", reason, numbers.qualification);
}

std::string exception_name(std::uint64_t vector) {
    const std::string_view mnemonic = vmx::exception_mnemonic(vector);
    return mnemonic.empty() ? fmt::format("exception {}", vector) : std::string{mnemonic};
}

std::string event_words(std::uint64_t information) {
    const auto event =
        std::bit_cast<vmx::InterruptionInformation>(static_cast<std::uint32_t>(information));
    const auto vector = static_cast<std::uint32_t>(event.vector);
    if (event.valid == 0) {
        return {};
    }
    switch (static_cast<vmx::EventType>(event.type)) {
        case vmx::EventType::external_interrupt:
            return fmt::format("interrupt {:#x}", vector);
        case vmx::EventType::nmi:
            return "NMI";
        case vmx::EventType::software_interrupt:
            return fmt::format("INT {:#x}", vector);
        case vmx::EventType::hardware_exception:
        case vmx::EventType::privileged_software_exception:
        case vmx::EventType::software_exception:
        case vmx::EventType::other:
            break;
    }
    return exception_name(vector);
}

std::string injected_event(const Event& exit) {
    return exit.fields.contains("injected") ? event_words(exit.number("injected")) : "";
}

}  // namespace hvp::tool
