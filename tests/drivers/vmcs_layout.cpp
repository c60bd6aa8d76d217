// Where the emulator keeps each field of a VMCS: VMWRITE changes a field, and the driver looks what
// changed in the VMCS's 4 KB. A real processor may keep fields elsewhere, and in no memory at all.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/vmcs/fields.hpp"
#include "platform/windows/nt.hpp"
#include "tests/drivers/test_session.hpp"

namespace {

using namespace hvp;

struct Place {
    std::uint32_t encoding;
    std::uint32_t offset;
    std::uint64_t written;
    std::uint64_t kept;
};

struct Places {
    std::array<Place, 200> all{};
    std::size_t count{};
    arch::Page before{};
};
Places places{};

constexpr vmx::Explanation enough{.step = "the fields were looked for",
                                  .rule = {"3C", "24.2", "Format of the VMCS Region"},
                                  .remedy = "none"};

void look_for(std::uint32_t encoding, const arch::Page& vmcs) {
    std::uint64_t old = 0;
    if (arch::vmread(encoding, old) != arch::VmxResult::succeed ||
        places.count == places.all.size()) {
        return;
    }
    // Every byte changes.
    std::memcpy(&places.before, &vmcs, sizeof(vmcs));
    if (arch::vmwrite(encoding, ~old) != arch::VmxResult::succeed) {
        return;  // information about exits is read-only
    }
    const auto* const now = reinterpret_cast<const std::byte*>(&vmcs);
    const auto* const then = reinterpret_cast<const std::byte*>(&places.before);
    const auto changed = std::mismatch(then, then + sizeof(vmcs), now).first - then;
    Place& place = places.all[places.count++];
    place = {.encoding = encoding,
             .offset = static_cast<std::uint32_t>(changed),
             .written = 0,
             .kept = 0};
    (void)arch::vmread(encoding, place.written);
    if (place.offset + sizeof(place.kept) <= sizeof(vmcs)) {
        std::memcpy(&place.kept, now + place.offset, sizeof(place.kept));
    }
    (void)arch::vmwrite(encoding, old);
}

std::expected<void, vmx::Failure> look_for_all(vmx::Session& session, std::uint64_t) {
    constexpr std::uint32_t widths = 4;
    constexpr std::uint32_t types = 4;
    constexpr std::uint32_t indices = 32;
    for (std::uint32_t width = 0; width < widths; ++width) {
        for (std::uint32_t type = 0; type < types; ++type) {
            for (std::uint32_t index = 0; index < indices; ++index) {
                look_for(width << 13 | type << 10 | index << 1, session.vmm().vmcs);
            }
        }
    }
    return std::unexpected{vmx::Failure{.kind = vmx::FailureKind::unexpected, .why = &enough}};
}

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->DriverUnload = on_unload;
    const platform::PinnedToProcessor pinned;
    auto session = tests::TestSession::prepare(*driver);
    if (!session) {
        return STATUS_NOT_SUPPORTED;
    }
    session->options.features[0] = {.add = look_for_all};
    (void)session->run([](void*) { arch::hlt(); }, nullptr);
    for (std::size_t i = 0; i < places.count; ++i) {
        const Place& place = places.all[i];
        tests::print_event("VmcsField encoding=%u offset=%u written=0x%llx kept=0x%llx\n",
                           place.encoding, place.offset, place.written, place.kept);
    }
    return places.count > 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}
