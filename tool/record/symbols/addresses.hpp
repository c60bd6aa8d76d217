// Names for addresses in the machine: module and offset always, function and line when asked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hvp::tool {

/// What the symbolizer knows about an address; empty where it knew nothing.
struct Symbol {
    std::string function;  ///< the innermost one that is not the standard library's
    std::string around;    ///< the one whose code holds the address: `function` is inlined there
    std::string place;     ///< `file:line` in `function`

    bool operator==(const Symbol&) const = default;
};

/// Reads the symbolizer's answer: a block of lines for each address, function and place in turn,
/// the innermost of inlined functions first.
[[nodiscard]] std::vector<Symbol> read_symbols(std::string_view answer);

/// Asks the symbolizer about offsets in an image, whose PDB is in the same folder.
///
/// Returns  its answer, for `read_symbols`; empty when it cannot be asked
[[nodiscard]] std::string ask_symbolizer(const std::filesystem::path& image,
                                         std::span<const std::uint64_t> offsets);

/// Returns  `stages\launch\driver.cpp:72:0` as people on this host write it, without the column;
///          empty when the symbolizer knew no place
[[nodiscard]] std::string source_place(std::string_view line);

class AddressNames {
public:
    struct Image {
        std::string name;  ///< launch.sys
        std::uint64_t base = 0;
        std::uint64_t bytes = 0;
        std::filesystem::path file;  ///< on the host; its PDB is in the same folder
    };

    void add(Image image) { images_.push_back(std::move(image)); }

    /// Returns  `launch.sys+0x1234`, or the plain number when it is in no image.
    [[nodiscard]] std::string module_and_offset(std::uint64_t address) const;

    /// Returns  the text with each address in an image replaced by module and offset, and the
    ///          function where it is known.
    [[nodiscard]] std::string explain(std::string_view text) const;

    /// Returns  whether the address is in a driver, which are all images but the first.
    [[nodiscard]] bool is_in_driver(std::uint64_t address) const;

    /// Looks addresses up in the images' PDBs, for `in_full` and `caller_in_full`; the first few
    /// hundred of each image. Starts a program for each, so ask for all at once.
    void find_symbols(std::span<const std::uint64_t> addresses);

    /// Returns  module and offset and, when they were looked up and found, function and line; with
    ///          the offset in the function when its start is known.
    [[nodiscard]] std::string in_full(std::uint64_t address, std::uint64_t start = 0) const;
    /// Returns  the same for a return address: the line of the call, which is just before it.
    [[nodiscard]] std::string caller_in_full(std::uint64_t address, std::uint64_t start = 0) const;
    /// Returns  `guest_main+0x1f3` when the function was looked up and found; else as
    ///          `module_and_offset`.
    [[nodiscard]] std::string function_and_offset(std::uint64_t address) const;

private:
    [[nodiscard]] const Image* image_of(std::uint64_t address) const;
    void find_starts(const Image& image, std::span<const std::uint64_t> addresses);
    /// Returns  one for each address; none at all when the symbolizer cannot be asked
    [[nodiscard]] static std::vector<Symbol> symbols_of(const Image& image,
                                                        std::span<const std::uint64_t> addresses);
    [[nodiscard]] std::string with_symbol_of(std::uint64_t shown, std::uint64_t found,
                                             std::uint64_t start) const;

    std::vector<Image> images_;
    std::map<std::uint64_t, Symbol> symbols_;
    std::map<std::uint64_t, std::uint64_t> starts_;  ///< of the functions, by address
};

}  // namespace hvp::tool
