#include "tool/run/replays/source_places.hpp"

#include <fmt/format.h>

#include <span>
#include <string_view>

#include "lab/nt/hosted/mapped_image.hpp"
#include "tool/base/files.hpp"
#include "tool/base/text.hpp"
#include "tool/record/symbols/addresses.hpp"

namespace hvp::tool {

SourcePlaces::SourcePlaces(const std::filesystem::path& driver, std::uint64_t base)
    : driver_{driver}, base_{base} {
    if (const auto file = read_bytes(driver)) {
        if (auto image = lab::pe::layout(*file)) {
            memory_ = std::move(image->bytes);
        }
    }
}

std::string SourcePlaces::place_at(std::uint64_t rip) const {
    return symbolized(rip, rip);
}

std::string SourcePlaces::place_before(std::uint64_t rip) const {
    return symbolized(rip - 1, rip);
}

std::string SourcePlaces::symbolized(std::uint64_t address, std::uint64_t shown) const {
    const std::uint64_t offset = address - base_;
    if (address < base_ || offset >= memory_.size()) {
        return fmt::format("{:#x}", shown);
    }
    const std::string plain = fmt::format("{}+{:#x}", driver_.filename().string(), shown - base_);
    const std::string answer = ask_symbolizer(driver_, std::span{&offset, 1});
    std::string_view lines = answer;
    // Function and place in turn, the innermost first: the last pair is the function itself.
    std::string_view function;
    std::string_view place;
    while (!trimmed(lines).empty()) {
        const std::string_view name = take_line(lines);
        const std::string_view where = take_line(lines);
        if (!name.empty() && !where.empty()) {
            function = name;
            place = where;
        }
    }
    const std::string path = source_place(place);
    if (path.empty()) {
        return function.empty() || function.starts_with("??")
                   ? plain
                   : fmt::format("{} ({})", plain, function);
    }
    return fmt::format("{} ({})", path, function);
}

bool SourcePlaces::is_vmwrite_before(std::uint64_t rip) const {
    // 0F 79 /r, perhaps with REX, SIB and displacement behind the opcode.
    // [SDM 3C 30.3 "VMX Instructions"] VMWRITE
    constexpr std::uint64_t shortest = 3;
    constexpr std::uint64_t longest = 8;
    if (rip < base_ + longest || rip - base_ > memory_.size()) {
        return false;
    }
    for (std::uint64_t length = shortest; length <= longest; ++length) {
        const std::size_t at = rip - base_ - length;
        if (memory_[at] == std::byte{0x0F} && memory_[at + 1] == std::byte{0x79}) {
            return true;
        }
    }
    return false;
}

}  // namespace hvp::tool
