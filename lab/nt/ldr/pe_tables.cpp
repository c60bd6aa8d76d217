// Reads imports, exports, .pdata and the load configuration.
#include "lab/nt/ldr/pe_tables.hpp"

#include <bit>

namespace hvp::lab::pe {
namespace {

struct ImportDescriptor {
    std::uint32_t names;
    std::uint32_t time_stamp;
    std::uint32_t forwarder_chain;
    std::uint32_t module;
    std::uint32_t slots;
};
static_assert(sizeof(ImportDescriptor) == 20);

struct ExportDirectory {
    std::uint32_t flags;
    std::uint32_t time_stamp;
    std::uint32_t version;
    std::uint32_t module;
    std::uint32_t ordinal_base;
    std::uint32_t address_count;
    std::uint32_t name_count;
    std::uint32_t addresses;
    std::uint32_t names;
    std::uint32_t ordinals;
};
static_assert(sizeof(ExportDirectory) == 40);

/// Text that ends inside the image, with a limit on its length.
std::optional<std::string_view> read_name(Bytes memory, std::uint64_t offset) {
    constexpr std::size_t longest = 512;
    for (std::size_t length = 0; length < longest; ++length) {
        const auto character = read<char>(memory, offset + length);
        if (!character) {
            return std::nullopt;
        }
        if (*character == '\0') {
            return std::string_view{std::bit_cast<const char*>(memory.data() + offset), length};
        }
    }
    return std::nullopt;
}

}  // namespace

ImportReader::ImportReader(const Headers& headers, Bytes memory)
    : memory_{memory}, descriptor_{headers.directory(DirectoryIndex::imports).address} {}

bool ImportReader::refuse(std::string_view what, std::uint64_t where) {
    refusal_ = Refusal{what}.hex(where);
    return false;
}

bool ImportReader::next_descriptor() {
    if (descriptor_ == 0) {
        return false;
    }
    const auto descriptor = read<ImportDescriptor>(memory_, descriptor_);
    if (!descriptor) {
        return refuse("the import table has no end: descriptor at ", descriptor_);
    }
    if (descriptor->module == 0) {
        return false;
    }
    const auto module = read_name(memory_, descriptor->module);
    if (!module) {
        return refuse("the import table names a module outside the image, at ", descriptor->module);
    }
    module_ = *module;
    slots_ = descriptor->slots;
    names_ = descriptor->names != 0 ? descriptor->names : descriptor->slots;
    descriptor_ += sizeof(ImportDescriptor);
    return true;
}

bool ImportReader::next() {
    constexpr std::uint64_t by_ordinal = 1ULL << 63;
    std::optional<std::uint64_t> entry;
    do {
        if (slots_ == 0 && !next_descriptor()) {
            return false;
        }
        entry = read<std::uint64_t>(memory_, names_);
        if (!entry || !read<std::uint64_t>(memory_, slots_)) {
            return refuse("the import table reaches beyond the image at ", names_);
        }
        if (*entry == 0) {
            slots_ = 0;  // the end of this descriptor's names
        }
    } while (slots_ == 0);
    current_ = {.module = module_, .name = {}, .slot = static_cast<std::uint32_t>(slots_)};
    if ((*entry & by_ordinal) != 0) {
        current_.ordinal = static_cast<std::uint16_t>(*entry);
    } else if (const auto name = read_name(memory_, *entry + 2); name && !name->empty()) {
        current_.name = *name;
    } else {
        return refuse("an import's name lies outside the image, at ", *entry);
    }
    names_ += 8;
    slots_ += 8;
    return true;
}

std::optional<std::string_view> export_name(const Headers& headers, Bytes memory,
                                            std::uint32_t index) {
    const Directory place = headers.directory(DirectoryIndex::exports);
    const auto directory = read<ExportDirectory>(memory, place.address);
    if (place.size == 0 || !directory || index >= directory->name_count) {
        return std::nullopt;
    }
    const auto name = read<std::uint32_t>(memory, directory->names + std::uint64_t{index} * 4);
    return name ? read_name(memory, *name) : std::nullopt;
}

std::optional<std::uint32_t> find_export(const Headers& headers, Bytes memory,
                                         std::string_view name) {
    const Directory place = headers.directory(DirectoryIndex::exports);
    for (std::uint32_t i = 0; const auto candidate = export_name(headers, memory, i); ++i) {
        if (*candidate != name) {
            continue;
        }
        const auto directory = read<ExportDirectory>(memory, place.address);
        const auto ordinal =
            read<std::uint16_t>(memory, directory->ordinals + std::uint64_t{i} * 2);
        if (!ordinal || *ordinal >= directory->address_count) {
            return std::nullopt;
        }
        return read<std::uint32_t>(memory, directory->addresses + std::uint64_t{*ordinal} * 4);
    }
    return std::nullopt;
}

std::optional<RuntimeFunction> find_function(const Headers& headers, Bytes memory,
                                             std::uint32_t address) {
    const Directory place = headers.directory(DirectoryIndex::exceptions);
    std::uint64_t first = 0;
    std::uint64_t end = place.size / sizeof(RuntimeFunction);
    while (first < end) {
        const std::uint64_t middle = first + (end - first) / 2;
        const auto function =
            read<RuntimeFunction>(memory, place.address + middle * sizeof(RuntimeFunction));
        if (!function) {
            return std::nullopt;
        }
        if (address < function->begin) {
            end = middle;
        } else if (address >= function->end) {
            first = middle + 1;
        } else {
            return function;
        }
    }
    return std::nullopt;
}

std::optional<std::uint32_t> find_security_cookie(const Headers& headers, Bytes memory,
                                                  std::uint64_t base) {
    constexpr std::uint64_t cookie_offset = 0x58;
    const Directory place = headers.directory(DirectoryIndex::load_configuration);
    const auto bytes = read<std::uint32_t>(memory, place.address);
    if (place.size == 0 || !bytes || *bytes < cookie_offset + sizeof(std::uint64_t)) {
        return std::nullopt;
    }
    const auto pointer = read<std::uint64_t>(memory, place.address + cookie_offset);
    if (!pointer || *pointer < base || !read<std::uint64_t>(memory, *pointer - base)) {
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(*pointer - base);
}

}  // namespace hvp::lab::pe
