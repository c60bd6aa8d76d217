// Builds the image.  [PE Format]
#include "tests/unit/lab_nt/pe_image.hpp"

#include <span>

#include "lab/nt/ldr/pe.hpp"

namespace hvp::lab::pe {
namespace {

struct SectionLine {
    const char* name;
    std::uint32_t flags;
};

constexpr SectionLine sections[]{
    {".text", 0x6000'0020}, {".data", 0xC000'0040}, {".reloc", 0x4200'0040}};

}  // namespace

PeImage::PeImage() : bytes(0xA00) {
    set<std::uint16_t>(0, 0x5A4D);
    set<std::uint32_t>(0x3C, file_header);
    set<std::uint32_t>(file_header, 0x4550);
    set<std::uint16_t>(machine, 0x8664);
    set<std::uint16_t>(section_count, 3);
    set<std::uint16_t>(optional_header_bytes, 240);
    set<std::uint16_t>(characteristics, 0x0022);
    set<std::uint16_t>(optional_header, 0x20B);
    set<std::uint32_t>(entry_point, 0x1000);
    set<std::uint64_t>(image_base, 0x1'4000'0000);
    set<std::uint32_t>(section_alignment, 0x1000);
    set<std::uint32_t>(file_alignment, 0x200);
    set<std::uint32_t>(image_bytes, 0x4000);
    set<std::uint32_t>(header_bytes, 0x400);
    set<std::uint16_t>(subsystem, 1);
    set<std::uint32_t>(directory_entries, 16);
    for (std::size_t i = 0; i < 3; ++i) {
        std::memcpy(bytes.data() + section(i), sections[i].name, std::strlen(sections[i].name));
        set<std::uint32_t>(section(i) + 8, 0x200);
        set<std::uint32_t>(section(i) + 12, static_cast<std::uint32_t>(0x1000 * (i + 1)));
        set<std::uint32_t>(section(i) + 16, 0x200);
        set<std::uint32_t>(section(i) + 20, static_cast<std::uint32_t>(content(i)));
        set<std::uint32_t>(section(i) + 36, sections[i].flags);
    }
    // .data begins with a pointer to itself; .reloc has one block with its relocation.
    set<std::uint64_t>(content(1), 0x1'4000'2000);
    set<std::uint32_t>(directory(5), 0x3000);
    set<std::uint32_t>(directory(5) + 4, 12);
    set<std::uint32_t>(content(2), 0x2000);
    set<std::uint32_t>(content(2) + 4, 12);
    set<std::uint16_t>(content(2) + 8, 0xA000);
    set<std::uint16_t>(content(2) + 10, 0);
}

std::string PeImage::refusal() const {
    const auto headers = parse(bytes);
    return headers ? std::string{} : std::string{headers.error().view()};
}

}  // namespace hvp::lab::pe
