#include "tool/explain/dumps/name_words.hpp"

#include <algorithm>
#include <cctype>

#include "tool/base/text.hpp"

namespace hvp::tool {

std::string_view end_of(std::string_view text) {
    text =
        trimmed(text.substr(text.size() > most_name_letters ? text.size() - most_name_letters : 0));
    std::size_t start = text.size();
    for (std::size_t words = 0;
         words < most_name_words && start != std::string_view::npos && start > 0; ++words) {
        const std::size_t word_end = text.find_last_not_of(" \t", start - 1);
        start = word_end == std::string_view::npos ? 0 : text.find_last_of(" \t", word_end);
    }
    return start == std::string_view::npos ? text : trimmed(text.substr(start));
}

std::string_view last_word(std::string_view text) {
    text = trimmed(text);
    const std::size_t blank = text.find_last_of(" \t,;)]}");
    return blank == std::string_view::npos ? text : text.substr(blank + 1);
}

bool contains_ignoring_case(std::string_view text, std::string_view small) {
    return std::ranges::search(text, small, [](char a, char b) {
               return std::tolower(static_cast<unsigned char>(a)) == b;
           }).begin() != text.end();
}

std::string lower_letters(std::string_view text) {
    std::string letters;
    for (const char letter : text) {
        const auto byte = static_cast<unsigned char>(letter);
        if (std::isalnum(byte) != 0) {
            letters += static_cast<char>(std::tolower(byte));
        }
    }
    return letters;
}

std::string_view without_index(std::string_view name) {
    const std::size_t open = name.find_last_of('[');
    return open != std::string_view::npos && name.ends_with(']') && open > 0 ? name.substr(0, open)
                                                                             : name;
}

}  // namespace hvp::tool
