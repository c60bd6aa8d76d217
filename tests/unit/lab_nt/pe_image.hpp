// A small correct driver image that a test can break: headers, .text, .data, .reloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace hvp::lab::pe {

/// Bytes of a file, and where in them the headers' fields are.
class PeImage {
public:
    PeImage();

    template <typename T>
    void set(std::size_t offset, T value) {
        std::memcpy(bytes.data() + offset, &value, sizeof(T));
    }
    template <typename T>
    [[nodiscard]] T get(std::size_t offset) const {
        T value;
        std::memcpy(&value, bytes.data() + offset, sizeof(T));
        return value;
    }

    /// The parser's refusal; empty if it accepts the image.
    [[nodiscard]] std::string refusal() const;

    static constexpr std::size_t file_header = 0x80;
    static constexpr std::size_t machine = file_header + 4;
    static constexpr std::size_t section_count = file_header + 6;
    static constexpr std::size_t optional_header_bytes = file_header + 20;
    static constexpr std::size_t characteristics = file_header + 22;
    static constexpr std::size_t optional_header = file_header + 24;
    static constexpr std::size_t entry_point = optional_header + 16;
    static constexpr std::size_t image_base = optional_header + 24;
    static constexpr std::size_t section_alignment = optional_header + 32;
    static constexpr std::size_t file_alignment = optional_header + 36;
    static constexpr std::size_t image_bytes = optional_header + 56;
    static constexpr std::size_t header_bytes = optional_header + 60;
    static constexpr std::size_t subsystem = optional_header + 68;
    static constexpr std::size_t directory_entries = optional_header + 108;

    [[nodiscard]] static constexpr std::size_t directory(std::size_t index) {
        return optional_header + 112 + 8 * index;
    }
    /// Header of section 0 .text, 1 .data, 2 .reloc; +8 size, +12 address, +16 raw size, +20 raw.
    [[nodiscard]] static constexpr std::size_t section(std::size_t index) {
        return directory(16) + 40 * index;
    }
    /// Where section's content lies in the file; in memory it is at 0x1000 * (index + 1).
    [[nodiscard]] static constexpr std::size_t content(std::size_t index) {
        return 0x400 + 0x200 * index;
    }

    std::vector<std::byte> bytes;
};

}  // namespace hvp::lab::pe
