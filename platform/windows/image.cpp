// Walks the section table of the loaded image. [Windows: PE Format]
#include "platform/windows/image.hpp"

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#include <ntimage.h>
#pragma clang diagnostic pop

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace hvp::windows {
namespace {

using arch::Access;

Access access_of(const IMAGE_SECTION_HEADER& section) {
    if ((section.Characteristics & IMAGE_SCN_MEM_EXECUTE) != 0) {
        return Access::read_execute;
    }
    return (section.Characteristics & IMAGE_SCN_MEM_WRITE) != 0 ? Access::read_write : Access::read;
}

std::expected<void, arch::MapError> map_pages(arch::AddressSpace& space, std::byte* start,
                                              std::size_t bytes, Access access) {
    for (std::size_t offset = 0; offset < bytes; offset += arch::page_bytes) {
        // One by one: pages of an image are contiguous in linear addresses only.
        const auto physical = MmGetPhysicalAddress(start + offset);
        const auto mapped = space.map(
            {.linear = arch::linear_address_of(start + offset),
             .physical = arch::HostPhysicalAddress{static_cast<std::uint64_t>(physical.QuadPart)},
             .pages = 1,
             .access = access});
        if (!mapped) {
            return mapped;
        }
    }
    return {};
}

}  // namespace

std::expected<void, arch::MapError> DriverImage::map(arch::AddressSpace& space) const {
    auto* const base = static_cast<std::byte*>(base_);
    const auto* const dos = reinterpret_cast<const IMAGE_DOS_HEADER*>(base);
    const auto* const nt = reinterpret_cast<const IMAGE_NT_HEADERS64*>(base + dos->e_lfanew);
    const std::span sections{IMAGE_FIRST_SECTION(nt), nt->FileHeader.NumberOfSections};
    for (const IMAGE_SECTION_HEADER& section : sections) {
        // After DriverEntry Windows gives these pages to somebody else.
        if ((section.Characteristics & IMAGE_SCN_MEM_DISCARDABLE) != 0) {
            continue;
        }
        const std::size_t bytes = std::max(section.Misc.VirtualSize, section.SizeOfRawData);
        const auto mapped =
            map_pages(space, base + section.VirtualAddress, bytes, access_of(section));
        if (!mapped) {
            return mapped;
        }
    }
    return {};
}

}  // namespace hvp::windows
