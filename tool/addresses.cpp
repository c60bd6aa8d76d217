#include "tool/addresses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "tool/subprocess.hpp"

namespace hvp::tool {
namespace {

std::string_view take_line(std::string_view& text) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

// `stages\launch\driver.cpp:72:0` as people on this host write it, without the column.
std::string place(std::string_view line) {
    std::string text{line.substr(0, line.rfind(':'))};
    std::ranges::replace(text, '\\', '/');
    return text.starts_with("??") ? "" : text;
}

}  // namespace

std::vector<std::string> read_symbols(std::string_view answer) {
    std::vector<std::string> symbols;
    while (!answer.empty()) {
        const std::string_view function = take_line(answer);
        if (function.empty()) {
            continue;
        }
        const std::string where = place(take_line(answer));
        std::string symbol{function.starts_with("??") ? "" : function};
        if (!symbol.empty() && !where.empty()) {
            symbol += ", " + where;
        }
        symbols.push_back(std::move(symbol));
        while (!answer.empty() && !take_line(answer).empty()) {
            // the functions into which this one was inlined
        }
    }
    return symbols;
}

std::string AddressNames::module_and_offset(std::uint64_t address) const {
    const Image* image = image_of(address);
    return image == nullptr ? fmt::format("{:#x}", address)
                            : fmt::format("{}+{:#x}", image->name, address - image->base);
}

void AddressNames::find_symbols(std::span<const std::uint64_t> addresses) {
    for (const Image& image : images_) {
        Command command{.arguments = {"llvm-symbolizer-19", "--relative-address",
                                      "--obj=" + image.file.filename().string()},
                        .folder = image.file.parent_path()};
        std::vector<std::uint64_t> asked;
        for (const std::uint64_t address : addresses) {
            if (image_of(address) == &image && !symbols_.contains(address)) {
                asked.push_back(address);
                command.arguments.push_back(fmt::format("{:#x}", address - image.base));
            }
        }
        if (asked.empty()) {
            continue;
        }
        const auto answer = capture(command);
        const auto symbols = read_symbols(answer ? answer->output : "");
        if (symbols.size() == asked.size()) {
            for (std::size_t i = 0; i < asked.size(); ++i) {
                symbols_[asked[i]] = symbols[i];
            }
        }
    }
}

std::string AddressNames::in_full(std::uint64_t address) const {
    const auto found = symbols_.find(address);
    const bool known = found != symbols_.end() && !found->second.empty();
    return module_and_offset(address) + (known ? "  " + found->second : "");
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
