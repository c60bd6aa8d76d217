#include "tool/debug/symbols.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "tool/base/subprocess.hpp"
#include "tool/base/text.hpp"

namespace hvp::tool {
namespace {

std::optional<std::uint64_t> number_before(std::string_view text, int base) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc{} ? std::optional{value} : std::nullopt;
}

// ``3636 | S_LPROC32 [size = 84] `launch::hello_from_the_guest` ``; functions in assembly are
// public symbols only
bool names_function(std::string_view line, std::string_view name) {
    const std::size_t start = line.find("] `");
    if ((!line.contains("PROC32 [") && !line.contains("S_PUB32 [")) ||
        start == std::string_view::npos || !line.ends_with('`')) {
        return false;
    }
    std::string_view function = line.substr(start + 3);
    function.remove_suffix(1);
    return function == name || (function.ends_with(name) &&
                                function.substr(0, function.size() - name.size()).ends_with("::"));
}

// `parent = 0, end = 18388, addr = 0001:3462, code size = 77`: section and offset, both decimal
struct InSection {
    std::uint64_t section;
    std::uint64_t offset;
};
std::optional<InSection> place_in(std::string_view line) {
    constexpr std::string_view word = "addr = ";
    const std::size_t at = line.find(word);
    const std::size_t colon = line.find(':', std::min(at, line.size()));
    if (colon == std::string_view::npos) {
        return std::nullopt;
    }
    const auto section = number_before(line.substr(at + word.size()), 10);
    const auto offset = number_before(line.substr(colon + 1), 10);
    return section && offset ? std::optional{InSection{*section, *offset}} : std::nullopt;
}

}  // namespace

std::vector<std::uint64_t> functions_named(std::string_view name, std::string_view dump) {
    std::vector<std::uint64_t> sections;
    std::vector<InSection> found;
    while (!dump.empty()) {
        const std::string_view line = trimmed(take_line(dump));
        if (line.ends_with(" virtual address")) {
            if (const auto address = number_before(line, 16)) {
                sections.push_back(*address);
            }
        } else if (names_function(line, name)) {
            if (const auto place = place_in(take_line(dump))) {
                found.push_back(*place);
            }
        }
    }
    std::vector<std::uint64_t> offsets;
    for (const InSection& place : found) {
        if (place.section == 0 || place.section > sections.size()) {
            continue;
        }
        const std::uint64_t offset = sections[place.section - 1] + place.offset;
        if (std::ranges::find(offsets, offset) == offsets.end()) {
            offsets.push_back(offset);
        }
    }
    return offsets;
}

std::string dump_symbols(const std::filesystem::path& image) {
    std::filesystem::path pdb = image;
    pdb.replace_extension(".pdb");
    const auto answer = capture({.arguments = {"llvm-pdbutil-19", "dump", "--symbols", "--publics",
                                               "--section-headers", pdb.string()},
                                 .folder = {}});
    return answer && answer->status == 0 ? answer->output : "";
}

}  // namespace hvp::tool
