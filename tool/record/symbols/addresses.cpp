#include "tool/record/symbols/addresses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ranges>

#include "tool/base/subprocess.hpp"
#include "tool/base/text.hpp"
#include "tool/record/symbols/image_functions.hpp"

namespace hvp::tool {
namespace {

// Each is an argument of the symbolizer, twice.
constexpr std::size_t most_symbols = 200;

// Names as the source has them.
std::string plain(std::string_view function) {
    constexpr std::string_view unnamed = "`anonymous namespace'::";
    std::string text{function};
    for (std::size_t at = 0; (at = text.find(unnamed)) != std::string::npos;) {
        text.erase(at, unnamed.size());
    }
    return text;
}

// `hvp::guest_state::guest_main(void*)` without its namespaces and parameters.
std::string short_name(std::string_view function) {
    const std::string_view name = function.substr(0, function.find_first_of("(<"));
    const std::size_t scope = name.rfind("::");
    return std::string{scope == std::string_view::npos ? name : name.substr(scope + 2)};
}

bool is_address(std::string_view word) {
    // Shorter ones are sizes, bits, offsets: kernel addresses have all sixteen digits.
    constexpr std::size_t digits = 18;
    return word.size() == digits;
}

}  // namespace

std::string ask_symbolizer(const std::filesystem::path& image,
                           std::span<const std::uint64_t> offsets) {
    Command command{.arguments = {"llvm-symbolizer-19", "--relative-address",
                                  "--obj=" + image.filename().string()},
                    .folder = image.parent_path()};
    for (const std::uint64_t offset : offsets) {
        command.arguments.push_back(fmt::format("{:#x}", offset));
    }
    const auto answer = capture(command);
    return answer ? answer->output : "";
}

std::string source_place(std::string_view line) {
    std::string text{line.substr(0, line.rfind(':'))};
    std::ranges::replace(text, '\\', '/');
    return text.starts_with("??") ? "" : text;
}

std::vector<Symbol> read_symbols(std::string_view answer) {
    std::vector<Symbol> symbols;
    while (!answer.empty()) {
        Symbol symbol;
        bool found = false;
        while (!answer.empty()) {
            const std::string_view function = take_line(answer);
            if (function.empty()) {
                break;  // the block is over
            }
            const std::string where = source_place(take_line(answer));
            if (function.starts_with("??")) {
                continue;
            }
            symbol.around = plain(function);
            if (!found) {
                symbol.function = symbol.around;
                symbol.place = where;
                found = !where.starts_with("/usr/");
            }
        }
        symbols.push_back(std::move(symbol));
    }
    return symbols;
}

std::string AddressNames::module_and_offset(std::uint64_t address) const {
    const Image* image = image_of(address);
    return image == nullptr ? fmt::format("{:#x}", address)
                            : fmt::format("{}+{:#x}", image->name, address - image->base);
}

std::string AddressNames::explain(std::string_view text) const {
    std::string explained;
    while (!text.empty()) {
        const std::size_t start = std::min(text.find("0x"), text.size());
        explained += text.substr(0, start);
        text.remove_prefix(start);
        const std::string_view word = text.substr(0, text.find_first_not_of("0123456789abcdefx"));
        std::uint64_t address = 0;
        if (is_address(word)) {
            std::from_chars(word.data() + 2, word.data() + word.size(), address, 16);
        }
        explained += image_of(address) == nullptr ? std::string{word} : module_and_offset(address);
        const auto symbol = symbols_.find(address);
        if (symbol != symbols_.end() && !symbol->second.function.empty()) {
            explained += fmt::format(" ({})", symbol->second.function);
        }
        text.remove_prefix(word.size());
    }
    return explained;
}

bool AddressNames::is_in_driver(std::uint64_t address) const {
    const Image* image = image_of(address);
    return image != nullptr && image != &images_.front();
}

void AddressNames::find_symbols(std::span<const std::uint64_t> wanted) {
    for (const Image& image : images_) {
        std::vector<std::uint64_t> asked;
        for (const std::uint64_t address : wanted) {
            if (image_of(address) == &image && asked.size() < 2 * most_symbols &&
                std::ranges::find(asked, address) == asked.end() && !symbols_.contains(address)) {
                asked.insert(asked.end(), {address, address - 1});
            }
        }
        const auto symbols = symbols_of(image, asked);
        if (symbols.empty()) {
            continue;
        }
        const ImageFunctions functions{image.file};
        std::vector<std::uint64_t> without_start;
        for (std::size_t i = 0; i < asked.size(); ++i) {
            symbols_[asked[i]] = symbols[i];
            if (const auto start = functions.start_of(asked[i] - image.base)) {
                starts_[asked[i]] = image.base + *start;
            } else if (!symbols[i].around.empty() && i % 2 == 0) {
                without_start.push_back(asked[i]);
            }
        }
        find_starts(image, without_start);
    }
}

// A leaf function has no unwind data, and is small: its start is where the bytes before it belong
// to another.
void AddressNames::find_starts(const Image& image, std::span<const std::uint64_t> addresses) {
    constexpr std::uint64_t longest_leaf = 256;
    // One address of each function is enough: the lowest.
    std::map<std::string, std::uint64_t> lowest;
    for (const std::uint64_t address : addresses) {
        const auto [function, is_new] = lowest.emplace(symbols_[address].around, address);
        function->second = std::min(function->second, address);
    }
    std::vector<std::uint64_t> before;
    for (const auto& [function, address] : lowest) {
        for (std::uint64_t i = 1; i <= longest_leaf; ++i) {
            before.push_back(address - std::min(i, address - image.base));
        }
    }
    const auto symbols = symbols_of(image, before);
    auto symbol = symbols.begin();
    for (auto& [function, address] : lowest) {
        if (symbols.empty()) {
            return;
        }
        const auto other = std::find_if(symbol, symbol + longest_leaf,
                                        [&](const Symbol& one) { return one.around != function; });
        const auto same = static_cast<std::uint64_t>(other - symbol);
        symbol += longest_leaf;
        for (const std::uint64_t one : addresses) {
            if (same < longest_leaf && symbols_[one].around == function) {
                starts_[one] = address - same;
            }
        }
    }
}

std::vector<Symbol> AddressNames::symbols_of(const Image& image,
                                             std::span<const std::uint64_t> addresses) {
    if (addresses.empty()) {
        return {};
    }
    std::vector<std::uint64_t> offsets;
    for (const std::uint64_t address : addresses) {
        offsets.push_back(address - image.base);
    }
    auto symbols = read_symbols(ask_symbolizer(image.file, offsets));
    return symbols.size() == addresses.size() ? symbols : std::vector<Symbol>{};
}

std::string AddressNames::in_full(std::uint64_t address, std::uint64_t start) const {
    return with_symbol_of(address, address, start);
}

std::string AddressNames::function_and_offset(std::uint64_t address) const {
    const auto symbol = symbols_.find(address);
    const auto start = starts_.find(address);
    if (symbol == symbols_.end() || symbol->second.around.empty() || start == starts_.end()) {
        return module_and_offset(address);
    }
    return fmt::format("{}+{:#x}", short_name(symbol->second.around), address - start->second);
}

std::string AddressNames::caller_in_full(std::uint64_t address, std::uint64_t start) const {
    return with_symbol_of(address, address - 1, start);
}

std::string AddressNames::with_symbol_of(std::uint64_t shown, std::uint64_t found,
                                         std::uint64_t start) const {
    std::string text = module_and_offset(shown);
    const auto entry = symbols_.find(found);
    if (entry == symbols_.end() || entry->second.function.empty()) {
        return text;
    }
    const Symbol& symbol = entry->second;
    if (start == 0) {
        text += "  " + symbol.function;
    } else {
        text += fmt::format("  {}+{:#x}", symbol.around, shown - start);
        text += symbol.function == symbol.around ? "" : fmt::format(" ({})", symbol.function);
    }
    return text + (symbol.place.empty() ? "" : ", " + symbol.place);
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
