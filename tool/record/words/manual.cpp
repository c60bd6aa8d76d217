#include "tool/record/words/manual.hpp"

#include <fmt/format.h>

#include <charconv>

namespace hvp::tool {

std::string manual_editions() {
    return fmt::format(
        "SDM is Intel's Software Developer's Manual: volume 3C in the edition 326019-060 of "
        "September 2016, 3A and 3D in 253668-072 and 332831-072 of May 2020. \"2022:\" is the "
        "number "
        "that a section of 3C has since December 2022; titles stay. {}",
        manual_address);
}

std::string newer_section(std::string_view volume, std::string_view section) {
    constexpr unsigned first_moved = 23;
    constexpr unsigned last_moved = 30;
    unsigned chapter = 0;
    const auto [end, error] =
        std::from_chars(section.data(), section.data() + section.size(), chapter);
    const bool has_moved = error == std::errc{} && chapter >= first_moved && chapter <= last_moved;
    if (volume != "3C" || !has_moved) {
        return {};
    }
    return fmt::format("{}{}", chapter + 1,
                       section.substr(static_cast<std::size_t>(end - section.data())));
}

std::string citation_for_readers(const vmx::Citation& section) {
    const std::string newer = newer_section(section.volume, section.section);
    return fmt::format(R"([{} {} {} "{}"{}])", "SDM", section.volume, section.section,
                       section.title, newer.empty() ? "" : "; 2022: " + newer);
}

std::string with_newer_section(std::string_view text) {
    constexpr std::string_view volume = "SDM 3C ";
    if (!text.starts_with(volume)) {
        return std::string{text};
    }
    const std::string_view rest = text.substr(volume.size());
    const std::string_view section = rest.substr(0, rest.find(' '));
    const std::string newer = newer_section("3C", section);
    return newer.empty() ? std::string{text}
                         : fmt::format("{}{} (2022: {}){}", volume, section, newer,
                                       rest.substr(section.size()));
}

}  // namespace hvp::tool
