// DbgPrint's formatter.  [Windows: Format specification syntax]
#include "lab/nt/rtl/format.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::rtl {
namespace {

enum class Length : std::uint8_t { standard, byte, half, narrow, wide, quad };

/// One conversion, as the format describes it.
struct Specification {
    bool left{};
    bool plus{};
    bool space{};
    bool alternative{};
    bool zero{};
    bool has_precision{};
    std::size_t width{};
    std::size_t precision{};
    Length length{Length::standard};
    char type{};
};

/// Reads the format, takes the arguments, writes the text.
class Formatter {
public:
    Formatter(TextWriter& out, const char* format, __builtin_ms_va_list arguments)
        : out_{out}, next_{format} {
        __builtin_ms_va_copy(arguments_, arguments);
    }
    ~Formatter() { __builtin_ms_va_end(arguments_); }
    Formatter(const Formatter&) = delete;
    Formatter& operator=(const Formatter&) = delete;

    FormatFacts run() {
        while (*next_ != '\0') {
            const char character = *next_++;
            if (character != '%') {
                out_.put(character);
                continue;
            }
            Specification spec;
            read_flags(spec);
            read_width_and_precision(spec);
            read_length(spec);
            spec.type = *next_;
            if (spec.type == '\0') {
                break;
            }
            ++next_;
            convert(spec);
        }
        return facts_;
    }

private:
    template <typename T>
    T take() {
        return __builtin_va_arg(arguments_, T);
    }

    void read_flags(Specification& spec) {
        for (;; ++next_) {
            switch (*next_) {
                case '-':
                    spec.left = true;
                    break;
                case '+':
                    spec.plus = true;
                    break;
                case ' ':
                    spec.space = true;
                    break;
                case '#':
                    spec.alternative = true;
                    break;
                case '0':
                    spec.zero = true;
                    break;
                default:
                    return;
            }
        }
    }

    std::size_t read_number() {
        constexpr std::size_t largest = 4096;
        std::size_t number = 0;
        while (*next_ >= '0' && *next_ <= '9') {
            number = std::min(number * 10 + static_cast<std::size_t>(*next_++ - '0'), largest);
        }
        return number;
    }

    void read_width_and_precision(Specification& spec) {
        if (*next_ == '*') {
            ++next_;
            const int width = take<int>();
            spec.left |= width < 0;
            spec.width = static_cast<std::size_t>(width < 0 ? -width : width);
        } else {
            spec.width = read_number();
        }
        if (*next_ != '.') {
            return;
        }
        ++next_;
        spec.has_precision = true;
        if (*next_ == '*') {
            ++next_;
            const int precision = take<int>();
            spec.has_precision = precision >= 0;
            spec.precision = static_cast<std::size_t>(std::max(precision, 0));
        } else {
            spec.precision = read_number();
        }
    }

    bool skip(std::string_view prefix) {
        if (std::string_view{next_, std::ranges::min(length_of(next_), prefix.size())} != prefix) {
            return false;
        }
        next_ += prefix.size();
        return true;
    }

    static std::size_t length_of(const char* text) { return std::string_view{text}.size(); }

    void read_length(Specification& spec) {
        struct Prefix {
            std::string_view text;
            Length length;
        };
        // `long` has 32 bits on Windows; `I`, `z`, `t` and `j` are as wide as a pointer.
        static constexpr std::array prefixes{
            Prefix{"hh", Length::byte},    Prefix{"h", Length::half}, Prefix{"ll", Length::quad},
            Prefix{"l", Length::wide},     Prefix{"w", Length::wide}, Prefix{"I64", Length::quad},
            Prefix{"I32", Length::narrow}, Prefix{"I", Length::quad}, Prefix{"z", Length::quad},
            Prefix{"j", Length::quad},     Prefix{"t", Length::quad}};
        for (const auto& prefix : prefixes) {
            if (skip(prefix.text)) {
                spec.length = prefix.length;
                return;
            }
        }
    }

    void convert(const Specification& spec) {
        switch (spec.type) {
            case 'd':
            case 'i':
                return put_signed(spec);
            case 'u':
                return put_number(spec, take_unsigned(spec), 10, {});
            case 'o':
                return put_number(spec, take_unsigned(spec), 8, spec.alternative ? "0" : "");
            case 'x':
            case 'X':
                return put_hexadecimal(spec);
            case 'p':
            case 'P':
                return put_pointer(spec);
            case 'c':
                return put_character(spec, spec.length == Length::wide);
            case 'C':
                return put_character(spec, spec.length != Length::half);
            case 's':
                return put_text(spec, spec.length == Length::wide);
            case 'S':
                return put_text(spec, spec.length != Length::half);
            case 'Z':
                return put_counted(spec);
            case 'n':
                (void)take<void*>();
                return;
            default:
                out_.put(spec.type);  // `%%`, and unknown conversions
        }
    }

    std::uint64_t take_unsigned(const Specification& spec) {
        if (spec.length == Length::quad) {
            return take<std::uint64_t>();
        }
        const std::uint32_t value = take<std::uint32_t>();
        switch (spec.length) {
            case Length::byte:
                return static_cast<std::uint8_t>(value);
            case Length::half:
                return static_cast<std::uint16_t>(value);
            default:
                return value;
        }
    }

    void put_signed(const Specification& spec) {
        const std::uint64_t raw = take_unsigned(spec);
        std::int64_t value = static_cast<std::int32_t>(raw);
        if (spec.length == Length::quad) {
            value = static_cast<std::int64_t>(raw);
        } else if (spec.length == Length::byte) {
            value = static_cast<std::int8_t>(raw);
        } else if (spec.length == Length::half) {
            value = static_cast<std::int16_t>(raw);
        }
        const std::string_view positive = spec.plus ? "+" : spec.space ? " " : "";
        const auto magnitude = static_cast<std::uint64_t>(value);
        put_number(spec, value < 0 ? 0 - magnitude : magnitude, 10, value < 0 ? "-" : positive);
    }

    void put_hexadecimal(const Specification& spec) {
        const std::uint64_t value = take_unsigned(spec);
        const std::string_view prefix = spec.type == 'x' ? "0x" : "0X";
        put_number(spec, value, 16, spec.alternative && value != 0 ? prefix : "");
    }

    void put_pointer(Specification spec) {
        constexpr std::size_t digits = 16;
        spec.type = 'X';
        spec.has_precision = true;
        spec.precision = digits;
        put_number(spec, take<std::uint64_t>(), 16, {});
    }

    void put_number(const Specification& spec, std::uint64_t value, unsigned base,
                    std::string_view sign) {
        const std::string_view characters =
            spec.type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
        std::array<char, 24> buffer{};
        std::size_t at = buffer.size();
        while (value != 0) {
            buffer[--at] = characters[value % base];
            value /= base;
        }
        const std::string_view digits{buffer.data() + at, buffer.size() - at};
        const std::size_t least = spec.has_precision ? spec.precision : 1;
        std::size_t zeros = least > digits.size() ? least - digits.size() : 0;
        const std::size_t used = sign.size() + zeros + digits.size();
        if (spec.zero && !spec.left && !spec.has_precision && spec.width > used) {
            zeros += spec.width - used;
        }
        const std::size_t total = sign.size() + zeros + digits.size();
        pad(!spec.left, spec, total);
        out_.put(sign);
        repeat('0', zeros);
        out_.put(digits);
        pad(spec.left, spec, total);
    }

    void put_character(const Specification& spec, bool wide) {
        facts_.converted_wide_text |= wide;
        const auto code = take<std::uint32_t>();
        pad(!spec.left, spec, 1);
        out_.put(wide ? narrowed(static_cast<char16_t>(code)) : static_cast<char>(code));
        pad(spec.left, spec, 1);
    }

    /// A character that the machine's code page, ASCII, does not have becomes a question mark.
    static char narrowed(char16_t character) {
        return character < 0x80 ? static_cast<char>(character) : '?';
    }

    void put_text(const Specification& spec, bool wide) {
        const std::size_t limit = spec.has_precision ? spec.precision : ~std::size_t{0};
        if (wide) {
            const auto* text = take<const char16_t*>();
            put_limited(spec, text, text != nullptr ? bounded_length(text, limit) : 0);
        } else {
            const auto* text = take<const char*>();
            put_limited(spec, text, text != nullptr ? bounded_length(text, limit) : 0);
        }
    }

    template <typename Character>
    static std::size_t bounded_length(const Character* text, std::size_t limit) {
        std::size_t length = 0;
        while (length < limit && text[length] != Character{}) {
            ++length;
        }
        return length;
    }

    void put_counted(const Specification& spec) {
        const std::size_t limit = spec.has_precision ? spec.precision : ~std::size_t{0};
        if (spec.length == Length::wide) {
            const auto* text = take<const UnicodeString*>();
            const auto* buffer = text != nullptr ? text->buffer : nullptr;
            put_limited(spec, static_cast<const char16_t*>(buffer),
                        buffer != nullptr ? std::min<std::size_t>(text->length / 2, limit) : 0);
        } else {
            const auto* text = take<const AnsiString*>();
            const auto* buffer = text != nullptr ? text->buffer : nullptr;
            put_limited(spec, static_cast<const char*>(buffer),
                        buffer != nullptr ? std::min<std::size_t>(text->length, limit) : 0);
        }
    }

    template <typename Character>
    void put_limited(const Specification& spec, const Character* text, std::size_t length) {
        constexpr std::string_view null = "(null)";
        if (text == nullptr) {
            const std::size_t shown =
                spec.has_precision ? std::min(null.size(), spec.precision) : null.size();
            return put_limited(spec, null.data(), shown);
        }
        facts_.converted_wide_text |= sizeof(Character) == sizeof(char16_t);
        pad(!spec.left, spec, length);
        for (std::size_t i = 0; i < length; ++i) {
            if constexpr (sizeof(Character) == sizeof(char)) {
                out_.put(text[i]);
            } else {
                out_.put(narrowed(text[i]));
            }
        }
        pad(spec.left, spec, length);
    }

    void pad(bool here, const Specification& spec, std::size_t used) {
        if (here && spec.width > used) {
            repeat(' ', spec.width - used);
        }
    }

    void repeat(char character, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            out_.put(character);
        }
    }

    TextWriter& out_;
    const char* next_;
    __builtin_ms_va_list arguments_{};
    FormatFacts facts_{};
};

}  // namespace

FormatFacts format(TextWriter& out, const char* format, __builtin_ms_va_list arguments) {
    return Formatter{out, format, arguments}.run();
}

}  // namespace hvp::lab::rtl
