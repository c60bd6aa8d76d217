#include "tool/run/replays/fault_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "hypervisor/vmcs/event_information.hpp"
#include "hypervisor/vmcs/names/bit_names.hpp"
#include "hypervisor/vmcs/names/exception_names.hpp"
#include "tool/base/text.hpp"
#include "tool/record/words/manual.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {
namespace {

using lab::DebuggerStop;
using lab::LoggedException;
using vmx::SecondaryControl;
using vmx::Vector;

// Instructions that are #UD in a guest unless a secondary control is 1, as the debugger begins
// them.
struct NeedsControl {
    std::string_view instruction;
    SecondaryControl control;
};
// [SDM 3C 25.3 "Changes to Instruction Behavior in VMX Non-Root Operation"]
constexpr auto needs_control = std::to_array<NeedsControl>({
    {"rdtscp", SecondaryControl::enable_rdtscp},
    {"rdpid", SecondaryControl::enable_rdtscp},
    {"invpcid", SecondaryControl::enable_invpcid},
    {"xsaves", SecondaryControl::enable_xsaves},
    {"xrstors", SecondaryControl::enable_xsaves},
    {"tpause", SecondaryControl::enable_user_wait_and_pause},
    {"umwait", SecondaryControl::enable_user_wait_and_pause},
    {"umonitor", SecondaryControl::enable_user_wait_and_pause},
});

// Those of VMX that are #UD for one reason only in 64-bit mode: outside VMX operation.
// [SDM 3C 30.3 "VMX Instructions"]
constexpr auto vmx_instructions =
    std::to_array<std::string_view>({"vmcall", "vmclear", "vmlaunch", "vmptrld", "vmptrst",
                                     "vmread", "vmresume", "vmwrite", "vmxoff"});

// What the processor was doing: the last entry or exit before the instruction.
struct Context {
    const Event* last = nullptr;

    [[nodiscard]] bool in_guest() const { return last != nullptr && last->name == "VmEntry"; }
};

Context context_of(const EndingFault& fault, const Timeline& timeline) {
    Context context;
    for (const Event& event : timeline.events()) {
        const bool switches = event.from == "processor" && event.cpu == fault.cpu &&
                              (event.name == "VmEntry" || event.name == "VmExit");
        // The exit that the exception causes is of the same tick.
        const bool is_before =
            event.name == "VmEntry" ? event.t <= fault.chain.t : event.t < fault.chain.t;
        if (switches && is_before) {
            context.last = &event;
        }
    }
    return context;
}

std::string instructions(std::uint64_t count) {
    return count == 1 ? "1 instruction" : grouped(count) + " instructions";
}

std::string words_of(const Context& context, std::uint64_t t) {
    if (context.last == nullptr) {
        return "Before any VM entry.";
    }
    const std::string distance = instructions(t - context.last->t);
    return context.in_guest()
               ? fmt::format("In the guest, {} after the VM entry.", distance)
               : fmt::format("Outside the guest, {} after VM exit {} {}.", distance,
                             context.last->number("reason_number"), context.last->text("reason"));
}

std::string name_of(const LoggedException& one) {
    const std::string_view mnemonic = vmx::exception_mnemonic(one.vector);
    if (one.is_interrupt) {
        return fmt::format("interrupt with vector {}", one.vector);
    }
    return mnemonic.empty() ? fmt::format("exception {}", one.vector)
                            : fmt::format("{} (vector {})", mnemonic, one.vector);
}

// [SDM 3A 6.13 "Error Code"]
std::string error_code_words(std::uint16_t code) {
    constexpr unsigned in_idt = 1U << 1;
    constexpr unsigned in_ldt = 1U << 2;
    constexpr unsigned index_shift = 3;
    if (code == 0) {
        return "";
    }
    if ((code & in_idt) != 0) {
        return fmt::format(": vector {} of the IDT", code >> index_shift);
    }
    return fmt::format(": entry {} of the {}", code >> index_shift,
                       (code & in_ldt) != 0 ? "LDT" : "GDT");
}

// [SDM 3A 4.7 "Page-Fault Exceptions"]
std::string page_fault_words(const LoggedException& one) {
    constexpr unsigned present = 1U << 0;
    constexpr unsigned write = 1U << 1;
    constexpr unsigned fetch = 1U << 4;
    const unsigned code = one.error_code.value_or(0);
    const std::string_view access = (code & fetch) != 0   ? "fetch from"
                                    : (code & write) != 0 ? "write to"
                                                          : "read of";
    std::string text = fmt::format(": {} {:#x}", access, one.address.value_or(0));
    if ((code & present) == 0) {
        text += one.missing.empty() ? ", which is not mapped"
                                    : fmt::format(", whose {} is not present", one.missing);
    } else {
        text += ", which is mapped, but not for this access";
    }
    return text;
}

// The log has a 0 for exceptions that push none.
bool has_error_code(const LoggedException& one) {
    return one.error_code && vmx::pushes_error_code(static_cast<Vector>(one.vector));
}

std::string line_of(const LoggedException& one) {
    std::string text = name_of(one);
    if (has_error_code(one)) {
        text += fmt::format(", error code {:#x}", *one.error_code);
        const bool is_page_fault = one.vector == std::to_underlying(Vector::page_fault);
        text += is_page_fault && one.address ? page_fault_words(one)
                                             : error_code_words(*one.error_code);
    }
    return text;
}

std::string first_word(std::string_view instruction) {
    return std::string{instruction.substr(0, instruction.find(' '))};
}

std::string upper_case(std::string text) {
    std::ranges::transform(text, text.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return text;
}

std::string_view name_of(SecondaryControl control) {
    const auto found =
        std::ranges::find(vmx::secondary_control_names, std::uint64_t{std::to_underlying(control)},
                          &vmx::BitName::mask);
    return found == vmx::secondary_control_names.end() ? "" : found->name;
}

// The control without which the instruction does not exist in this guest; empty if that is not why.
std::string missing_control(const DebuggerStop& stop, std::uint64_t vmcs) {
    const std::string instruction = first_word(stop.instruction);
    const auto row = std::ranges::find_if(needs_control, [&](const NeedsControl& one) {
        return instruction.starts_with(one.instruction);
    });
    const ReplayedVmcs fields{stop, vmcs};
    const auto primary = fields.find(vmx::primary_processor_based_controls.encoding);
    const auto secondary = fields.find(vmx::secondary_processor_based_controls.encoding);
    if (row == needs_control.end() || !primary || !secondary) {
        return "";
    }
    const auto bit = std::to_underlying(row->control);
    const bool active =
        (*primary & std::to_underlying(vmx::PrimaryControl::activate_secondary_controls)) != 0;
    if (active && (*secondary & bit) != 0) {
        return "";
    }
    return fmt::format(
        "{} is #UD in a guest whose secondary control \"{}\" (bit {}) is 0{}.\n{}\n",
        upper_case(instruction), name_of(row->control), std::countr_zero(bit),
        active ? "" : "; here the primary control \"activate secondary controls\" is 0, too",
        citation_for_readers(
            {"3C", "25.3", "Changes to Instruction Behavior in VMX Non-Root Operation"}));
}

std::string outside_vmx_operation(const DebuggerStop& stop) {
    const std::string instruction = first_word(stop.instruction);
    const auto cr4 = stop.find("cr4");
    if (std::ranges::find(vmx_instructions, instruction) == vmx_instructions.end() || !cr4) {
        return "";
    }
    constexpr std::uint64_t vmxe = 1U << 13;
    return fmt::format("{} is #UD outside VMX operation: {}.\n{}\n", upper_case(instruction),
                       (*cr4 & vmxe) == 0
                           ? "CR4.VMXE is 0"
                           : "VMXON was not executed, or VMXOFF was, on this processor",
                       citation_for_readers({"3C", "30.3", "VMX Instructions"}));
}

// VMXOFF comes before CR4.VMXE becomes 0.  [SDM 3C 23.8 "Restrictions on VMX Operation"]
std::string vmxe_words(const DebuggerStop& stop) {
    constexpr std::string_view to_cr4 = "mov cr4, ";
    constexpr std::uint64_t vmxe = 1U << 13;
    if (!stop.instruction.starts_with(to_cr4)) {
        return "";
    }
    const auto before = stop.find("cr4");
    const auto after = stop.find(stop.instruction.substr(to_cr4.size()));
    if (!before || !after || (*before & vmxe) == 0 || (*after & vmxe) != 0) {
        return "";
    }
    return fmt::format(
        "The new value, {:#x}, has VMXE 0: in VMX operation that is #GP. VMXOFF comes first.\n{}\n",
        *after, citation_for_readers({"3C", "23.8", "Restrictions on VMX Operation"}));
}

std::string msr_words(const DebuggerStop& stop) {
    const std::string instruction = first_word(stop.instruction);
    const auto ecx = stop.find("rcx");
    if ((instruction != "rdmsr" && instruction != "wrmsr") || !ecx) {
        return "";
    }
    constexpr std::uint64_t low_half = 0xFFFF'FFFF;
    return fmt::format("The MSR is {:#x} (ECX).\n", *ecx & low_half);
}

// Why the first exception was raised, as far as the state shows it.
std::string cause(const EndingFault& fault, const DebuggerStop& stop, const Context& context,
                  std::uint64_t vmcs) {
    const std::uint8_t vector = fault.chain.exceptions.front().vector;
    if (vector == std::to_underlying(Vector::invalid_opcode)) {
        return context.in_guest() ? missing_control(stop, vmcs) : outside_vmx_operation(stop);
    }
    return vector == std::to_underlying(Vector::general_protection)
               ? msr_words(stop) + vmxe_words(stop)
               : "";
}

// The VMCS of the last attempt to enter before the instruction.
std::uint64_t current_vmcs(const EndingFault& fault, const Timeline& timeline) {
    std::uint64_t vmcs = 0;
    for (const Event& event : timeline.events()) {
        if (event.from == "processor" && event.cpu == fault.cpu && event.t <= fault.chain.t &&
            (event.name == "VmLaunch" || event.name == "VmResume")) {
            vmcs = event.number("vmcs");
        }
    }
    return vmcs;
}

Json to_json(const LoggedException& one) {
    Json json{{"vector", one.vector}, {"name", name_of(one)}};
    json["error_code"] = has_error_code(one) ? Json(fmt::format("{:#x}", *one.error_code)) : Json();
    if (one.address) {
        json["address"] = fmt::format("{:#x}", *one.address);
        json["missing"] = one.missing.empty() ? Json() : Json(one.missing);
    }
    json["obstacle"] = one.obstacle.empty() ? Json() : Json(one.obstacle);
    return json;
}

std::string chain_text(const EndingFault& fault, const std::string& place,
                       const std::string& instruction) {
    std::string text;
    for (std::size_t i = 0; i < fault.chain.exceptions.size(); ++i) {
        const LoggedException& one = fault.chain.exceptions[i];
        text += fmt::format("  {}{}\n", i == 0 ? "" : "then ", line_of(one));
        if (i == 0) {
            text += fmt::format("      {}\n      at {}\n", instruction, place);
        }
        if (!one.obstacle.empty()) {
            text += fmt::format("      not delivered: {}\n", one.obstacle);
        }
    }
    return text;
}

}  // namespace

std::optional<EndingFault> ending_fault(const Timeline& timeline,
                                        const lab::ExceptionLog& exceptions) {
    using Kind = EndingFault::Kind;
    const Event* exit = timeline.last("processor", "VmExit");
    const Event* bug_check = timeline.last("lab", "BugCheck");
    const Event* triple = timeline.last("processor", "TripleFault");
    const Event* end = triple != nullptr ? triple : bug_check != nullptr ? bug_check : exit;
    const lab::ExceptionChain* chain = end == nullptr ? nullptr
                                       : end == exit  ? exceptions.of_last_exit(end->cpu)
                                                      : exceptions.last(end->cpu);
    if (chain == nullptr || (end != bug_check && chain->t != end->t) || chain->t > end->t) {
        return std::nullopt;
    }
    return EndingFault{.kind = end == triple ? Kind::triple_fault
                                             : (end == bug_check ? Kind::bug_check : Kind::exit),
                       .cpu = end->cpu,
                       .chain = *chain,
                       .bug_check_rip = end == bug_check ? end->number("rip") : 0};
}

std::optional<FaultReport> report_fault(const EndingFault& fault, const Timeline& timeline,
                                        const ReplayOfRun& replay, AddressNames& names) {
    const std::uint64_t vmcs = current_vmcs(fault, timeline);
    const auto stops = replay(fmt::format("sba {}\nc\nregs\ncreg\nsreg\n{}", fault.chain.t,
                                          vmcs == 0 ? "" : show_vmcs(vmcs)));
    const auto stop = std::ranges::find(stops, fault.chain.t, &DebuggerStop::tick);
    if (stop == stops.end()) {
        return std::nullopt;
    }
    const std::uint64_t rip = stop->find("rip").value_or(0);
    if (fault.kind == EndingFault::Kind::bug_check && rip != fault.bug_check_rip) {
        return std::nullopt;
    }
    const Context context = context_of(fault, timeline);
    const std::string why = cause(fault, *stop, context, vmcs);
    if (fault.kind == EndingFault::Kind::bug_check && context.last == nullptr && why.empty()) {
        return std::nullopt;  // nothing of VMX: the bug check has said it all
    }
    names.find_symbols({{rip}});
    std::string text = "The exception, by the processor's log:\n" +
                       chain_text(fault, names.in_full(rip), stop->instruction);
    text += fmt::format("{} CR3 is {:#x}; IDTR has base {:#x}, limit {:#x}.\n",
                        words_of(context, fault.chain.t), stop->find("cr3").value_or(0),
                        stop->find("idtr base").value_or(0), stop->find("idtr limit").value_or(0));
    text += why;
    Json chain = Json::array();
    for (const LoggedException& one : fault.chain.exceptions) {
        chain.push_back(to_json(one));
    }
    return FaultReport{.text = std::move(text),
                       .json = {{"cpu", fault.cpu},
                                {"t", fault.chain.t},
                                {"rip", fmt::format("{:#x}", rip)},
                                {"place", names.in_full(rip)},
                                {"instruction", stop->instruction},
                                {"in_guest", context.in_guest()},
                                {"cr3", fmt::format("{:#x}", stop->find("cr3").value_or(0))},
                                {"exceptions", std::move(chain)},
                                {"cause", why.empty() ? Json() : Json(trimmed(why))}}};
}

}  // namespace hvp::tool
