#include "tool/explain/dumps/registers.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "hypervisor/vmcs/fields.hpp"
#include "tool/base/text.hpp"
#include "tool/explain/dumps/name_words.hpp"

namespace hvp::tool {
namespace {

struct RegisterName {
    std::string_view name;
    std::uint32_t guest;
    std::uint32_t host;  ///< 0: the host area has none
};
constexpr auto register_names = std::to_array<RegisterName>({
    {"cr0", vmx::guest_cr0.encoding, vmx::host_cr0.encoding},
    {"cr3", vmx::guest_cr3.encoding, vmx::host_cr3.encoding},
    {"cr4", vmx::guest_cr4.encoding, vmx::host_cr4.encoding},
    {"dr7", vmx::guest_dr7.encoding, 0},
    {"rip", vmx::guest_rip.encoding, vmx::host_rip.encoding},
    {"eip", vmx::guest_rip.encoding, vmx::host_rip.encoding},
    {"rsp", vmx::guest_rsp.encoding, vmx::host_rsp.encoding},
    {"esp", vmx::guest_rsp.encoding, vmx::host_rsp.encoding},
    {"rflags", vmx::guest_rflags.encoding, 0},
    {"eflags", vmx::guest_rflags.encoding, 0},
    {"rfl", vmx::guest_rflags.encoding, 0},
    {"efl", vmx::guest_rflags.encoding, 0},
    {"flags", vmx::guest_rflags.encoding, 0},
    {"efer", vmx::guest_efer.encoding, vmx::host_efer.encoding},
});

// General and vector registers have their numbers; these have names.
constexpr auto other_names = std::to_array<std::string_view>({
    "cr1",      "cr2",
    "cr8",      "dr0",
    "dr1",      "dr2",
    "dr3",      "dr4",
    "dr5",      "dr6",
    "rax",      "rbx",
    "rcx",      "rdx",
    "rsi",      "rdi",
    "rbp",      "eax",
    "ebx",      "ecx",
    "edx",      "esi",
    "edi",      "ebp",
    "cpl",      "ii",
    "a20",      "smm",
    "hlt",      "fcw",
    "fsw",      "ftw",
    "mxcsr",    "opmask00",
    "ccs",      "ccd",
    "cco",      "apicbase",
    "padding",  "interruptbitmap",
    "iopl",     "xcr0",
    "cpu",      "vcpu",
    "domain",   "dpl",
    "code",     "dh",
    "dl",       "valid",
    "fop",      "fip",
    "fdp",      "fcs",
    "fds",      "pid",
    "laddr",    "hardwareentryfailurereason",
    "vmcsid",   "insttype",
    "status",   "instvector",
    "exitcode", "exitcodehi",
    "count",
});

}  // namespace

std::optional<std::uint32_t> register_field(std::string_view name, Side side) {
    const std::string wanted = lower_case(name);
    const auto* const found = std::ranges::find(register_names, wanted, &RegisterName::name);
    if (found == register_names.end()) {
        return std::nullopt;
    }
    const std::uint32_t encoding = side == Side::guest ? found->guest : found->host;
    return encoding == 0 ? std::nullopt : std::optional{encoding};
}

bool is_no_field(std::string_view name) {
    const std::string letters = lower_letters(name);
    const auto has_number_after = [&](std::string_view prefix) {
        return letters.starts_with(prefix) && letters.size() > prefix.size() &&
               std::ranges::all_of(letters.substr(prefix.size()),
                                   [](unsigned char c) { return std::isdigit(c) != 0; });
    };
    return std::ranges::find(other_names, letters) != other_names.end() || has_number_after("r") ||
           has_number_after("xmm") || has_number_after("ymm") || has_number_after("fpr") ||
           has_number_after("st") || has_number_after("mm") || has_number_after("k") ||
           has_number_after("arg");
}

}  // namespace hvp::tool
