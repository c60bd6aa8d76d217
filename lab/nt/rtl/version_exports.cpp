// RtlGetVersion: Windows 10 21H2.
#include <array>
#include <cstdint>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::rtl {
namespace {

/// [Windows: RTL_OSVERSIONINFOW, RTL_OSVERSIONINFOEXW] The caller says which by its size.
struct VersionInformation {
    std::uint32_t bytes{};
    std::uint32_t major{};
    std::uint32_t minor{};
    std::uint32_t build{};
    std::uint32_t platform{};
    std::array<char16_t, 128> service_pack{};
    // RTL_OSVERSIONINFOEXW only:
    std::uint16_t service_pack_major{};
    std::uint16_t service_pack_minor{};
    std::uint16_t suite{};
    std::uint8_t product{};
    std::uint8_t reserved{};
};
static_assert(sizeof(VersionInformation) == 0x11C);

}  // namespace

/// [Windows: RtlGetVersion]
NT_EXPORT NtStatus RtlGetVersion(VersionInformation* information) {
    examiner::check_irql_at_most(
        ke::Irql::passive,
        {"RtlGetVersion", examiner::api_irql, examiner::caller(__builtin_return_address(0))});
    constexpr std::uint32_t windows_nt = 2;
    constexpr std::uint16_t one_user_at_a_time = 0x100;
    constexpr std::uint8_t workstation = 1;
    const std::uint32_t bytes = information->bytes;
    information->major = 10;
    information->minor = 0;
    information->build = 19044;
    information->platform = windows_nt;
    information->service_pack = {};
    if (bytes == sizeof(VersionInformation)) {
        information->service_pack_major = 0;
        information->service_pack_minor = 0;
        information->suite = one_user_at_a_time;
        information->product = workstation;
        information->reserved = 0;
    }
    return status_success;
}

}  // namespace hvp::lab::rtl
