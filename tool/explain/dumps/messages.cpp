#include "tool/explain/dumps/messages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "hypervisor/vmcs/fields.hpp"
#include "hypervisor/vmcs/instruction_error.hpp"
#include "tool/base/text.hpp"
#include "tool/explain/dumps/segments.hpp"
#include "tool/explain/what_entry_said.hpp"

namespace hvp::tool {
namespace {

using vmx::checks::item;

constexpr std::uint64_t entry_failure = 0x8000'0000;

// Names of the exit reasons that are failures of VM entry, in lower case.
struct FailureName {
    std::string_view words;
    vmx::ExitReason reason;
};
constexpr auto failure_names = std::to_array<FailureName>({
    {"exit_reason_invalid_guest_state", vmx::ExitReason::invalid_guest_state},
    {"exit_reason_invalid_state", vmx::ExitReason::invalid_guest_state},
    {"verr_vmx_invalid_guest_state", vmx::ExitReason::invalid_guest_state},
    {"vmx_exit_err_invalid_guest_state", vmx::ExitReason::invalid_guest_state},
    {"exit_reason_entry_fail_guest", vmx::ExitReason::invalid_guest_state},
    {"exit_reason_error_invalid_guest_state", vmx::ExitReason::invalid_guest_state},
    {"exit_reason_msr_load_fail", vmx::ExitReason::msr_loading},
    {"exit_reason_entry_fail_msr", vmx::ExitReason::msr_loading},
});

// Words in front of the number of an exit reason.
constexpr auto reason_marks = std::to_array<std::string_view>({
    "hardware error ",
    "unhandled exit ",
    "fail entry ",
    "hardware_entry_failure_reason",
    "(reason ",
    "exit reason ",
    "exit reason: ",
});

// The number after a mark, behind `=`, `:` and blanks.
std::optional<WrittenNumber> number_after(std::string_view line, std::string_view mark) {
    const std::size_t place = line.find(mark);
    if (place == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view rest = line.substr(place + mark.size());
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t=:#"), rest.size()));
    return written_number(number_word(rest));
}

void set_exit(vmx::ExitReason reason, ImageBuilder& builder) {
    if (!builder.image().find(vmx::exit_reason.encoding)) {
        builder.set_exactly(item(vmx::exit_reason), entry_failure | vmx::number_of(reason));
    }
}

void read_exit(std::string_view line, ImageBuilder& builder) {
    for (const FailureName& name : failure_names) {
        if (line.contains(name.words)) {
            set_exit(name.reason, builder);
        }
    }
    for (const std::string_view mark : reason_marks) {
        const auto number = number_after(line, mark);
        // What else may follow such words has no bit 31.
        if (number && number->value <= 0xFFFF'FFFF && (number->value & entry_failure) != 0) {
            set_exit(static_cast<vmx::ExitReason>(number->value & 0xFFFF), builder);
        }
    }
}

// "Unhandled VM-Exit, reason 33": an exit reason in a sentence. KVM's own exit reasons are others.
void read_reason_in_words(std::string_view line, ImageBuilder& builder) {
    constexpr std::string_view mark = "exit, reason ";
    const auto number = number_after(line, mark);
    if (number && !line.contains("kvm")) {
        // In a sentence it is a decimal number.
        builder.set_exactly(item(vmx::exit_reason), number->decimal.value_or(number->value));
    }
}

// KVM_RUN's exit reason is a number of KVM's: 9, KVM_EXIT_FAIL_ENTRY.
bool read_kvm_exit(std::string_view line, ImageBuilder& builder) {
    if (line.contains("kvm_exit_fail_entry") || line.contains("exit_fail_entry")) {
        builder.mark_as_failed();
        return true;
    }
    return line.contains("kvm exit reason") || line.contains("kvm_exit_");
}

// HAXM prints only this of a guest state that was refused: the access rights of TR.
bool read_haxm_tr(std::string_view line, ImageBuilder& builder) {
    const auto number = number_after(line, "vcpu->tr");
    if (number) {
        builder.set(*item_of_encoding(segment_fields("tr", Side::guest)->rights), "vcpu->tr",
                    *number);
    }
    return number.has_value();
}

// "Failed at VM-Entry, Code=7", "vmlaunch failed: error 7"
void read_instruction_error(std::string_view line, ImageBuilder& builder) {
    const bool is_about_entry = line.contains("vm-entry") || line.contains("vm entry") ||
                                line.contains("vmentry") || line.contains("vmlaunch") ||
                                line.contains("vmresume");
    if (!is_about_entry || !(line.contains("fail") || line.contains("error"))) {
        return;
    }
    for (const std::string_view mark : {"code", "error", "errno", "err"}) {
        const auto number = number_after(line, mark);
        const std::uint64_t error = number ? number->decimal.value_or(number->value) : 0;
        if (is_error_of_vm_entry(error)) {
            builder.set_exactly(item(vmx::vm_instruction_error), error);
            return;
        }
    }
}

// VirtualBox examines the guest state itself after a failed VM entry, and says what it found by a
// number.  [VirtualBox: include/VBox/vmm/hm_vmx.h, VMX_IGS_*]
constexpr std::uint64_t first_8086_reason = 554;
std::string virtualbox_reason(std::uint64_t number) {
    constexpr std::array<std::string_view, 6> segments{"CS", "SS", "DS", "ES", "FS", "GS"};
    constexpr std::array<std::string_view, 3> parts{"base", "limit", "access rights"};
    const std::uint64_t place = number - first_8086_reason;
    if (number < first_8086_reason || place >= segments.size() * parts.size()) {
        return "an examination of the guest state of its own; ask VirtualBox's hm_vmx.h, VMX_IGS_*";
    }
    return fmt::format("in virtual-8086 mode the guest {} {} is wrong: VMX_IGS_V86_{}_{}_INVALID",
                       segments[place / parts.size()], parts[place % parts.size()],
                       segments[place / parts.size()],
                       std::array{"BASE", "LIMIT", "ATTR"}[place % parts.size()]);
}

bool read_virtualbox(std::string_view line, ImageBuilder& builder) {
    if (const auto number = number_after(line, "hm error")) {
        builder.add_note(fmt::format("VirtualBox's HM error {}: {}.", number->value,
                                     virtualbox_reason(number->value)));
        return true;
    }
    // It runs real mode as virtual-8086 mode where "unrestricted guest" lacks. The VMCS then has
    // VM = 1 and F3H for every segment; the log shows what the guest believes.
    if (line.contains("real-on-v86 active") && line.contains("true")) {
        constexpr std::uint64_t rights_of_8086 = 0xF3;
        builder.mark_as_guests_view();
        builder.set_for_good(item(vmx::guest_rflags),
                             static_cast<std::uint64_t>(arch::Rflags::virtual_8086) | 2);
        for (const std::string_view name : {"cs", "ss", "ds", "es", "fs", "gs"}) {
            builder.set_for_good(
                {VmcsImage::Item::Kind::field, segment_fields(name, Side::guest)->rights},
                rights_of_8086);
        }
        builder.add_note(
            "Real-on-v86 is active: the VMCS has RFLAGS.VM = 1 and F3H as the access "
            "rights of every segment; the values of the log are what the guest sees.");
        return true;
    }
    return false;
}

}  // namespace

bool read_message(std::string_view whole, ImageBuilder& builder) {
    constexpr std::size_t longest_message = 400;
    const std::string line = lower_case(whole.substr(0, longest_message));
    read_exit(line, builder);
    read_instruction_error(line, builder);
    read_reason_in_words(line, builder);
    return read_kvm_exit(line, builder) || read_haxm_tr(line, builder) ||
           read_virtualbox(line, builder);
}

}  // namespace hvp::tool
