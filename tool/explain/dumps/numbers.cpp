#include "tool/explain/dumps/numbers.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string>

#include "tool/base/text.hpp"

namespace hvp::tool {
namespace {

bool starts_with_letters(std::string_view text, std::string_view letters) {
    return text.size() >= letters.size() &&
           std::ranges::equal(text.substr(0, letters.size()), letters, [](char a, char b) {
               return std::tolower(static_cast<unsigned char>(a)) == b;
           });
}

std::optional<std::uint64_t> digits(std::string_view text, int base) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    const bool all = error == std::errc{} && end == text.data() + text.size() && !text.empty();
    return all ? std::optional{value} : std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> number_in(std::string_view text) {
    text = trimmed(text);
    const std::string_view word = number_word(text);
    const std::string_view after = trimmed(text.substr(word.size()));
    std::string letters{word};
    std::erase_if(letters,
                  [](char letter) { return letter == '`' || letter == '_' || letter == '\''; });
    if (starts_with_letters(letters, "0n")) {
        return digits(std::string_view{letters}.substr(2), 10);
    }
    if (starts_with_letters(after, "(dec")) {
        return digits(letters, 10);
    }
    if (starts_with_letters(letters, "0x")) {
        letters.erase(0, 2);
    } else if (letters.ends_with('h') || letters.ends_with('H')) {
        letters.pop_back();
    }
    while (letters.ends_with('u') || letters.ends_with('U') || letters.ends_with('l') ||
           letters.ends_with('L')) {
        letters.pop_back();
    }
    return digits(letters, 16);
}

std::optional<WrittenNumber> written_number(std::string_view text) {
    const auto value = number_in(text);
    const std::string_view word = number_word(trimmed(text));
    const bool only_digits = std::ranges::all_of(
        word, [](char letter) { return std::isdigit(static_cast<unsigned char>(letter)) != 0; });
    const bool is_said_to_be_decimal =
        starts_with_letters(trimmed(trimmed(text).substr(word.size())), "(dec");
    if (word.empty() || is_said_to_be_decimal) {
        return value ? std::optional{WrittenNumber{*value, {}, false}} : std::nullopt;
    }
    const bool is_padded = word.size() > 1 && word.front() == '0';
    if (only_digits && !is_padded) {
        const auto decimal = digits(word, 10);
        return value || decimal
                   ? std::optional{WrittenNumber{value.value_or(~0ULL), decimal, false}}
                   : std::nullopt;
    }
    const bool is_marked = starts_with_letters(word, "0x") || starts_with_letters(word, "0n") ||
                           word.ends_with('h') || word.ends_with('H');
    return value ? std::optional{WrittenNumber{*value, {}, !is_marked}} : std::nullopt;
}

std::string_view number_word(std::string_view text) {
    std::size_t end = 0;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 ||
                                 text[end] == '`' || text[end] == '_' || text[end] == '\'')) {
        ++end;
    }
    return text.substr(0, end);
}

}  // namespace hvp::tool
