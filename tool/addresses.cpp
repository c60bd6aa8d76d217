#include "tool/addresses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "tool/subprocess.hpp"

namespace hvp::tool {

std::optional<SourcePlace> look_up(const std::filesystem::path& image, std::uint64_t offset) {
    // Two lines: function, then file:line:column; question marks for what it does not know.
    const auto answer = capture({.arguments = {"llvm-symbolizer-19", "--relative-address",
                                               "--no-inlines", "--obj=" + image.filename().string(),
                                               fmt::format("{:#x}", offset)},
                                 .folder = image.parent_path()});
    if (!answer || answer->status != 0) {
        return std::nullopt;
    }
    const std::size_t end = answer->output.find('\n');
    std::string function = answer->output.substr(0, end);
    if (end == std::string::npos || function.empty() || function.starts_with("??")) {
        return std::nullopt;
    }
    std::string place = answer->output.substr(end + 1);
    place.erase(std::min(place.find('\n'), place.size()));
    place.erase(std::min(place.rfind(':'), place.size()));
    if (place.starts_with("??")) {
        place.clear();
    }
    return SourcePlace{std::move(function), std::move(place)};
}

std::string AddressNames::module_and_offset(std::uint64_t address) const {
    const Image* image = image_of(address);
    return image == nullptr ? fmt::format("{:#x}", address)
                            : fmt::format("{}+{:#x}", image->name, address - image->base);
}

std::string AddressNames::in_full(std::uint64_t address) const {
    std::string text = module_and_offset(address);
    const Image* image = image_of(address);
    const auto place = image == nullptr ? std::nullopt : look_up(image->file, address - image->base);
    if (place) {
        text += "  " + place->function;
        text += place->file_and_line.empty() ? "" : ", " + place->file_and_line;
    }
    return text;
}

const AddressNames::Image* AddressNames::image_of(std::uint64_t address) const {
    // The last one counts: a driver may be loaded several times.
    for (const Image& image : images_ | std::views::reverse) {
        if (address >= image.base && address - image.base < image.bytes) {
            return &image;
        }
    }
    return nullptr;
}

}  // namespace hvp::tool
