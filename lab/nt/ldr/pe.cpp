// The checks on a PE image's headers, its layout in memory, its relocations.
#include "lab/nt/ldr/pe.hpp"

#include <algorithm>
#include <bit>

namespace hvp::lab::pe {
namespace {

constexpr std::uint64_t page_bytes = 4096;
constexpr std::uint32_t largest_image = 64U << 20;
constexpr std::uint16_t most_sections = 96;
constexpr std::uint16_t machine_amd64 = 0x8664;
constexpr std::uint16_t magic_pe32_plus = 0x20B;
constexpr std::uint16_t subsystem_native = 1;

struct DosHeader {
    std::uint16_t magic;
    std::array<std::uint16_t, 29> unused;
    std::uint32_t new_header_offset;
};
static_assert(sizeof(DosHeader) == 64);

struct FileHeader {
    std::uint32_t signature;
    std::uint16_t machine;
    std::uint16_t section_count;
    std::uint32_t time_stamp;
    std::uint32_t symbol_table_offset;
    std::uint32_t symbol_count;
    std::uint16_t optional_header_bytes;
    std::uint16_t characteristics;
};
static_assert(sizeof(FileHeader) == 24);

struct OptionalHeader {
    std::uint16_t magic;
    std::uint16_t linker_version;
    std::uint32_t code_bytes;
    std::uint32_t initialised_bytes;
    std::uint32_t uninitialised_bytes;
    std::uint32_t entry_point;
    std::uint32_t code_address;
    std::uint64_t image_base;
    std::uint32_t section_alignment;
    std::uint32_t file_alignment;
    std::array<std::uint16_t, 8> versions;
    std::uint32_t image_bytes;
    std::uint32_t header_bytes;
    std::uint32_t checksum;
    std::uint16_t subsystem;
    std::uint16_t dll_characteristics;
    std::array<std::uint64_t, 4> stack_and_heap;
    std::uint32_t loader_flags;
    std::uint32_t directory_entries;
};
static_assert(sizeof(OptionalHeader) == 112);

std::unexpected<Refusal> refuse(std::string_view sentence) {
    return std::unexpected{Refusal{sentence}};
}

std::unexpected<Refusal> refuse(std::string_view before, std::uint64_t value,
                                std::string_view after) {
    Refusal sentence{before};
    sentence.hex(value).put(after);
    return std::unexpected{sentence};
}

std::unexpected<Refusal> refuse_section(const Section& section, std::string_view what) {
    Refusal sentence{"section "};
    sentence.put(section.name()).put(" ").put(what);
    return std::unexpected{sentence};
}

std::expected<void, Refusal> check_file_header(const FileHeader& header) {
    constexpr std::uint16_t executable_image = 0x0002;
    if (header.signature != 0x0000'4550) {
        return refuse("not a PE image: no signature PE where the DOS header points");
    }
    if (header.machine != machine_amd64) {
        return refuse("built for machine ", header.machine, ", not for x64 (0x8664)");
    }
    if ((header.characteristics & executable_image) == 0) {
        return refuse("the file header says that the image cannot be executed");
    }
    if (header.section_count == 0 || header.section_count > most_sections) {
        return refuse("the section count ", header.section_count, " is not in 1 to 0x60");
    }
    if (header.optional_header_bytes < sizeof(OptionalHeader)) {
        return refuse("the optional header has ", header.optional_header_bytes,
                      " bytes, which is too short for PE32+");
    }
    return {};
}

std::expected<void, Refusal> check_optional_header(const OptionalHeader& header) {
    if (header.magic != magic_pe32_plus) {
        return refuse("optional header magic ", header.magic, " is not PE32+ (0x20b)");
    }
    if (header.subsystem != subsystem_native) {
        return refuse("subsystem ", header.subsystem,
                      " is not native (1): this is a program, not a driver");
    }
    if (!std::has_single_bit(header.section_alignment) || header.section_alignment < page_bytes) {
        return refuse("section alignment ", header.section_alignment,
                      " is not a power of two of at least a page");
    }
    if (!std::has_single_bit(header.file_alignment) ||
        header.file_alignment > header.section_alignment) {
        return refuse("file alignment ", header.file_alignment,
                      " is not a power of two up to the section alignment");
    }
    if (header.image_base % 0x1'0000 != 0) {
        return refuse("image base ", header.image_base, " is not a multiple of 64 KiB");
    }
    if (header.image_bytes == 0 || header.image_bytes > largest_image) {
        return refuse("image size ", header.image_bytes, " is not in 1 to 64 MiB");
    }
    if (header.directory_entries > directory_count) {
        return refuse("the optional header announces ", header.directory_entries,
                      " data directories; there are 16");
    }
    return {};
}

/// Directories lie inside the image; the security directory counts in file offsets instead.
std::expected<void, Refusal> check_directories(const Headers& headers) {
    for (std::size_t i = 0; i < directory_count; ++i) {
        const Directory directory = headers.directories[i];
        const bool inside =
            std::uint64_t{directory.address} + directory.size <= headers.image_bytes;
        if (!inside && i != static_cast<std::size_t>(DirectoryIndex::security)) {
            return refuse("data directory ", i, " reaches beyond the image");
        }
    }
    return {};
}

std::expected<void, Refusal> check_sections(const Headers& headers, std::uint32_t alignment,
                                            Form form) {
    std::uint64_t free_from = headers.header_bytes;
    bool entry_is_code = false;
    for (std::size_t i = 0; i < headers.section_count; ++i) {
        const Section section = headers.section(i);
        const std::uint64_t end = section.virtual_address + section.memory_bytes();
        if (section.virtual_address % alignment != 0) {
            return refuse_section(section, "is not aligned as the header says");
        }
        if (section.virtual_address < free_from) {
            return refuse_section(section, "overlaps what lies before it, or is out of order");
        }
        if (section.memory_bytes() == 0 || end > headers.image_bytes) {
            return refuse_section(section, "is empty or reaches beyond the image");
        }
        if (form == Form::file && section.raw_size != 0) {
            const std::uint64_t raw_end = std::uint64_t{section.raw_offset} + section.raw_size;
            if (raw_end > headers.file.size()) {
                return refuse_section(section, "reaches beyond the file: it is truncated");
            }
            if (section.raw_offset < headers.header_bytes) {
                return refuse_section(section, "overlaps the headers in the file");
            }
        }
        entry_is_code |= section.executable() && headers.entry_point >= section.virtual_address &&
                         headers.entry_point < end;
        free_from = end;
    }
    if (!entry_is_code) {
        return refuse("the entry point ", headers.entry_point, " lies in no executable section");
    }
    return {};
}

std::expected<void, Refusal> read_directories(Headers& headers, std::size_t offset,
                                              std::uint32_t count, std::size_t end) {
    for (std::uint32_t i = 0; i < count; ++i, offset += sizeof(Directory)) {
        const auto directory = read<Directory>(headers.file, offset);
        if (!directory || offset + sizeof(Directory) > end) {
            return refuse("truncated: the data directories reach beyond the optional header");
        }
        headers.directories[i] = *directory;
    }
    return check_directories(headers);
}

}  // namespace

std::string_view Section::name() const {
    const auto* end = std::ranges::find(name_bytes, '\0');
    return {name_bytes.data(), static_cast<std::size_t>(end - name_bytes.data())};
}

Section Headers::section(std::size_t index) const {
    const std::size_t offset = section_table_offset + index * sizeof(Section);
    return read<Section>(file, offset).value_or(Section{});
}

std::expected<Headers, Refusal> parse(Bytes bytes, Form form) {
    const auto dos = read<DosHeader>(bytes, 0);
    if (!dos || dos->magic != 0x5A4D) {
        return refuse("not a PE image: it does not begin with a DOS header (MZ)");
    }
    const std::uint64_t at = dos->new_header_offset;
    const auto file_header = read<FileHeader>(bytes, at);
    const auto optional_header = read<OptionalHeader>(bytes, at + sizeof(FileHeader));
    if (!file_header || !optional_header) {
        return refuse("truncated: the headers reach beyond the file");
    }
    if (auto good = check_file_header(*file_header); !good) {
        return std::unexpected{good.error()};
    }
    if (auto good = check_optional_header(*optional_header); !good) {
        return std::unexpected{good.error()};
    }
    Headers headers;
    headers.file = bytes;
    headers.image_base = optional_header->image_base;
    headers.entry_point = optional_header->entry_point;
    headers.image_bytes = static_cast<std::uint32_t>(
        (optional_header->image_bytes + page_bytes - 1) & ~(page_bytes - 1));
    headers.header_bytes = optional_header->header_bytes;
    headers.section_count = file_header->section_count;
    headers.relocations_stripped = (file_header->characteristics & 0x0001) != 0;
    const std::uint64_t optional_at = at + sizeof(FileHeader);
    headers.section_table_offset = optional_at + file_header->optional_header_bytes;
    const std::uint64_t table_end =
        headers.section_table_offset + headers.section_count * sizeof(Section);
    if (headers.header_bytes < table_end || headers.header_bytes > bytes.size() ||
        headers.header_bytes > headers.image_bytes) {
        return refuse("truncated: ", headers.header_bytes,
                      " bytes of headers do not hold the section table or are more than there is");
    }
    if (auto good =
            read_directories(headers, optional_at + sizeof(OptionalHeader),
                             optional_header->directory_entries, headers.section_table_offset);
        !good) {
        return std::unexpected{good.error()};
    }
    if (auto good = check_sections(headers, optional_header->section_alignment, form); !good) {
        return std::unexpected{good.error()};
    }
    return headers;
}

void lay_out(const Headers& headers, WritableBytes memory) {
    __builtin_memset(memory.data(), 0, memory.size());
    __builtin_memcpy(memory.data(), headers.file.data(), headers.header_bytes);
    for (std::size_t i = 0; i < headers.section_count; ++i) {
        const Section section = headers.section(i);
        const std::size_t bytes = std::min<std::uint64_t>(section.raw_size, section.memory_bytes());
        if (bytes != 0) {
            __builtin_memcpy(memory.data() + section.virtual_address,
                             headers.file.data() + section.raw_offset, bytes);
        }
    }
}

namespace {

/// One block: a page and the places in it.  [PE Format, "Base Relocation Block"]
std::expected<void, Refusal> relocate_block(WritableBytes memory, std::uint32_t page, Bytes entries,
                                            std::uint64_t difference) {
    constexpr unsigned padding = 0;
    constexpr unsigned all_64_bits = 10;
    for (std::size_t offset = 0; offset < entries.size(); offset += 2) {
        const unsigned entry = read<std::uint16_t>(entries, offset).value_or(0);
        const unsigned type = entry >> 12;
        if (type == padding) {
            continue;
        }
        if (type != all_64_bits) {
            return refuse("relocation type ", type, " does not exist on x64");
        }
        const std::uint64_t place = std::uint64_t{page} + (entry & 0xFFF);
        const auto value = read<std::uint64_t>(memory, place);
        if (!value || !write(memory, place, *value + difference)) {
            return refuse("a relocation at ", place, " lies beyond the image");
        }
    }
    return {};
}

}  // namespace

std::expected<void, Refusal> relocate(const Headers& headers, WritableBytes memory,
                                      std::uint64_t base) {
    if (base == headers.image_base) {
        return {};
    }
    if (headers.relocations_stripped) {
        return refuse("linked without relocations: it can run only at its base ",
                      headers.image_base, ", where no driver is loaded");
    }
    const Directory directory = headers.directory(DirectoryIndex::relocations);
    std::uint64_t offset = directory.address;
    const std::uint64_t end = offset + directory.size;
    while (end - offset >= 8) {
        const std::uint32_t page = read<std::uint32_t>(memory, offset).value_or(0);
        const std::uint32_t bytes = read<std::uint32_t>(memory, offset + 4).value_or(0);
        if (bytes < 8 || bytes % 2 != 0 || bytes > end - offset) {
            return refuse("relocation block at ", offset, " has an impossible size");
        }
        const Bytes entries = memory.subspan(offset + 8, bytes - 8);
        if (auto good = relocate_block(memory, page, entries, base - headers.image_base); !good) {
            return good;
        }
        offset += bytes;
    }
    return {};
}

}  // namespace hvp::lab::pe
