#include "tool/record/words/status_names.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace hvp::tool {
namespace {

constexpr auto all_statuses = std::to_array<StatusName>({
    {0x00000000, "STATUS_SUCCESS", "it worked"},
    {0xC0000001, "STATUS_UNSUCCESSFUL", "it failed; the driver says nothing more"},
    {0xC0000002, "STATUS_NOT_IMPLEMENTED", "the driver does not have this"},
    {0xC000000D, "STATUS_INVALID_PARAMETER", "a parameter is wrong"},
    {0xC0000010, "STATUS_INVALID_DEVICE_REQUEST", "the device does not know this request"},
    {0xC0000022, "STATUS_ACCESS_DENIED", "the caller may not do this"},
    {0xC0000059, "STATUS_REVISION_MISMATCH", "two revisions do not go together"},
    {0xC000009A, "STATUS_INSUFFICIENT_RESOURCES", "memory, most often contiguous memory, is short"},
    {0xC00000A3, "STATUS_DEVICE_NOT_READY", "the device is not ready"},
    {0xC00000BB, "STATUS_NOT_SUPPORTED", "this computer does not have what is needed, as VT-x"},
    {0xC00000E5, "STATUS_INTERNAL_ERROR", "an error that should not occur"},
    {0xC0000184, "STATUS_INVALID_DEVICE_STATE", "the device is in a state that does not allow it"},
    {0xC0350002, "STATUS_HV_INVALID_HYPERCALL_CODE", "the hypervisor does not know this hypercall"},
    {0xC035001E, "STATUS_HV_FEATURE_UNAVAILABLE", "a feature for a hypervisor is missing, as VT-x"},
    {0xC0351000, "STATUS_HV_NOT_PRESENT", "no hypervisor is present"},
});

}  // namespace

std::span<const StatusName> status_names() {
    return all_statuses;
}

std::string status_name(std::string_view status) {
    constexpr int sixteen = 16;
    const std::string_view digits = status.starts_with("0x") ? status.substr(2) : status;
    std::uint32_t number = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number, sixteen);
    const bool is_number = error == std::errc{} && end == digits.data() + digits.size();
    const auto* const found = std::ranges::find(all_statuses, number, &StatusName::number);
    return is_number && found != all_statuses.end() ? std::string{found->name}
                                                    : std::string{status};
}

}  // namespace hvp::tool
