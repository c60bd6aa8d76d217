// A PE image as a file: what its headers say, whether they make sense, how it lies in memory.
//
// Pure: it works on bytes and touches nothing else, so it is compiled for the host too, tested
// there with broken images, and used by the tool to lay out the lab's kernel. Nothing in a file is
// trusted: every offset is checked before it is used.
// The words are those of Microsoft's "PE Format" page.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "lab/nt/rtl/text.hpp"

namespace hvp::lab::pe {

using Bytes = std::span<const std::byte>;
using WritableBytes = std::span<std::byte>;
using Refusal = rtl::Sentence;

/// The entries of the optional header's table that we use.
enum class DirectoryIndex : std::size_t {
    exports = 0,
    imports = 1,
    exceptions = 3,
    security = 4,
    relocations = 5,
    load_configuration = 10,
};
inline constexpr std::size_t directory_count = 16;

/// A part of the image; addresses are relative to its base ("RVA").
struct Directory {
    std::uint32_t address{};
    std::uint32_t size{};
};

/// One line of the section table.
struct Section {
    std::array<char, 8> name_bytes{};
    std::uint32_t virtual_size{};
    std::uint32_t virtual_address{};
    std::uint32_t raw_size{};
    std::uint32_t raw_offset{};
    std::uint32_t relocations_offset{};
    std::uint32_t line_numbers_offset{};
    std::uint16_t relocation_count{};
    std::uint16_t line_number_count{};
    std::uint32_t characteristics{};

    [[nodiscard]] bool discardable() const { return (characteristics & 0x0200'0000) != 0; }
    [[nodiscard]] bool executable() const { return (characteristics & 0x2000'0000) != 0; }
    [[nodiscard]] bool writable() const { return (characteristics & 0x8000'0000) != 0; }

    /// Bytes in memory; an object with no virtual size takes its raw size.
    [[nodiscard]] std::uint64_t memory_bytes() const {
        return virtual_size != 0 ? virtual_size : raw_size;
    }
    [[nodiscard]] std::string_view name() const;
};
static_assert(sizeof(Section) == 40);

/// Headers that passed every check. It refers to the bytes that it was parsed from.
class Headers {
public:
    std::uint64_t image_base{};
    std::uint32_t entry_point{};
    std::uint32_t image_bytes{};  ///< whole pages
    std::uint32_t header_bytes{};
    std::uint16_t section_count{};
    bool relocations_stripped{};
    std::array<Directory, directory_count> directories{};

    [[nodiscard]] Section section(std::size_t index) const;
    [[nodiscard]] Directory directory(DirectoryIndex index) const {
        return directories[static_cast<std::size_t>(index)];
    }

    Bytes file{};
    std::size_t section_table_offset{};
};

/// Whether the bytes are the file, or an image that lies in memory already.
enum class Form : std::uint8_t { file, mapped };

/// Reads and checks the headers of a native 64-bit image.
///
/// Returns  the headers, or one sentence that says what is wrong.
[[nodiscard]] std::expected<Headers, Refusal> parse(Bytes bytes, Form form = Form::file);

/// Copies headers and sections to their addresses; what no section fills becomes 0.
///
/// Needs    `memory` of `headers.image_bytes` bytes
void lay_out(const Headers& headers, WritableBytes memory);

/// Adjusts the addresses in a laid-out image to the base where it will run.
[[nodiscard]] std::expected<void, Refusal> relocate(const Headers& headers, WritableBytes memory,
                                                    std::uint64_t base);

/// A value at an offset in the bytes, or nothing if it does not lie inside.
template <typename T>
[[nodiscard]] std::optional<T> read(Bytes bytes, std::uint64_t offset) {
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
        return std::nullopt;
    }
    T value;
    __builtin_memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

/// Writes a value at an offset in the bytes. False: it does not lie inside.
template <typename T>
[[nodiscard]] bool write(WritableBytes bytes, std::uint64_t offset, T value) {
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
        return false;
    }
    __builtin_memcpy(bytes.data() + offset, &value, sizeof(T));
    return true;
}

}  // namespace hvp::lab::pe
