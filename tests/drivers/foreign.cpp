// A driver that says nothing about its VM entry, which fails. The service name chooses:
//   foreign-rflags    RFLAGS[1] = 0: exit 33
//   foreign-host-rpl  a host selector with RPL 3: VM-instruction error 8
//   foreign-msr-load  a reserved bit in the entry MSR-load area: exit 34
#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/exits/handler_table.hpp"
#include "hypervisor/vmcs/fields.hpp"
#include "platform/windows/nt.hpp"
#include "tests/drivers/service_name.hpp"
#include "tests/drivers/test_session.hpp"

namespace {

using namespace hvp;
using namespace std::string_view_literals;
using Done = std::expected<void, vmx::Failure>;

void write(std::uint32_t encoding, std::uint64_t value) {
    (void)arch::vmwrite(encoding, value);
}

Done clear_rflags(vmx::Session&, std::uint64_t) {
    (void)arch::vmwrite(vmx::guest_rflags.encoding, 0);
    return {};
}
Done keep_rpl(vmx::Session&, std::uint64_t) {
    constexpr std::uint64_t user_data = 0x2B;
    (void)arch::vmwrite(vmx::host_ds_selector.encoding, user_data);
    return {};
}
[[gnu::noinline]] Done load_msrs(vmx::Session&, std::uint64_t area) {
    write(vmx::entry_msr_load_address.encoding, area);
    write(vmx::entry_msr_load_count.encoding, 1);
    return {};
}

/// IA32_PAT, and a bit that must be 0.  [SDM 3C 24.8.2 "VM-Entry Controls for MSRs"]
alignas(16) constinit std::array<std::uint64_t, 2> wrong_area{0x1'0000'0277, 0x0007'0406'0007'0406};

struct Case {
    std::string_view name;
    vmx::Feature feature;
};

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    driver->DriverUnload = on_unload;
    const auto area = static_cast<std::uint64_t>(MmGetPhysicalAddress(wrong_area.data()).QuadPart);
    const std::array cases{
        Case{"rflags"sv, {.add = clear_rflags}},
        Case{"host-rpl"sv, {.add = keep_rpl}},
        Case{"msr-load"sv, {.add = load_msrs, .parameter = area}},
    };
    const auto* chosen = std::ranges::find_if(
        cases, [&](const Case& one) { return tests::is_service(*path, "foreign-"sv, one.name); });
    if (chosen == cases.end()) {
        return STATUS_NOT_SUPPORTED;
    }
    const platform::PinnedToProcessor pinned;
    auto session = tests::TestSession::prepare(*driver);
    if (!session) {
        return STATUS_NOT_SUPPORTED;
    }
    session->options.features[0] = chosen->feature;
    const auto guest_stop = session->run([](void*) { arch::hlt(); }, nullptr);
    return guest_stop ? STATUS_UNSUCCESSFUL : STATUS_DEVICE_NOT_READY;
}
