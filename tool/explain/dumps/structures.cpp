#include "tool/explain/dumps/structures.hpp"

#include <algorithm>
#include <cctype>

#include "tool/explain/dumps/registers.hpp"

namespace hvp::tool {
namespace {

constexpr std::size_t deepest = 8;

bool is_word_letter(char letter) {
    return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_';
}

// "gs={", "cs = {", "cs: kvm_segment {": a segment register in front of a brace.
bool opens_a_segment(std::string_view line) {
    for (std::size_t brace = line.find('{'); brace != std::string_view::npos;
         brace = line.find('{', brace + 1)) {
        // The name is at most two words away.
        constexpr std::size_t far = 40;
        std::string_view before = line.substr(brace > far ? brace - far : 0, std::min(brace, far));
        std::size_t end = before.find_last_of("=:");
        if (end == std::string_view::npos) {
            continue;
        }
        before = before.substr(0, end);
        while (!before.empty() && (before.back() == ' ' || before.back() == '"')) {
            before.remove_suffix(1);
        }
        std::size_t start = before.size();
        while (start > 0 && is_word_letter(before[start - 1])) {
            --start;
        }
        const std::string_view name = before.substr(start);
        if (segment_fields(name, Side::guest) || name == "sregs" || name == "kvm_sregs") {
            return true;
        }
    }
    return false;
}

// gdb and Rust print decimal numbers without a mark; one with leading zeros or letters is another
// program's.
WrittenNumber number_of_structure(const WrittenNumber& number) {
    return number.decimal ? WrittenNumber{*number.decimal, {}, false} : number;
}

}  // namespace

bool StructureReader::read(std::string_view line) {
    // One that was cut must not swallow the rest of the text.
    constexpr std::size_t most_lines = 40;
    if (++lines_ > most_lines) {
        levels_.clear();
    }
    if (levels_.empty() && !opens_a_segment(line)) {
        return false;
    }
    lines_ = levels_.empty() ? 0 : lines_;
    for (std::size_t at = 0; at < line.size();) {
        const char letter = line[at];
        if (is_word_letter(letter)) {
            std::size_t end = at;
            while (end < line.size() && is_word_letter(line[end])) {
                ++end;
            }
            take_word(line.substr(at, end - at));
            at = end;
            continue;
        }
        if (letter == '{') {
            open();
        } else if (letter == '}') {
            close();
        } else if (letter == '=' || letter == ':') {
            expects_value_ = true;
        }
        ++at;
    }
    if (levels_.empty()) {
        name_.clear();
        expects_value_ = false;
    }
    return true;
}

void StructureReader::take_word(std::string_view word) {
    const auto number = written_number(word);
    const bool is_number = number && std::isdigit(static_cast<unsigned char>(word.front())) != 0;
    if (expects_value_ || (is_number && name_.empty())) {
        if (number) {
            assign(word);
        }
        // "kvm_segment" is a type, not a name: what follows it is still the value.
        expects_value_ = !number;
        return;
    }
    constexpr std::size_t longest = 40;
    name_ = word.substr(0, longest);
}

void StructureReader::open() {
    if (levels_.size() < deepest) {
        levels_.push_back({name_, {}});
    }
    name_.clear();
    expects_value_ = false;
}

void StructureReader::close() {
    if (levels_.empty()) {
        return;
    }
    if (const auto fields = segment_fields(levels_.back().name, Side::guest)) {
        builder_.mark_as_guests_view();
        levels_.back().parts.give(*fields, builder_);
    }
    levels_.pop_back();
    name_.clear();
    expects_value_ = false;
}

void StructureReader::assign(std::string_view value) {
    const WrittenNumber number = number_of_structure(*written_number(value));
    if (name_.ends_with('_')) {
        name_.pop_back();  // Rust's `type_`
    }
    if (!levels_.empty() && segment_fields(levels_.back().name, Side::guest)) {
        if (name_ == "attr") {
            levels_.back().parts.take_packed_rights(number);
        } else {
            // VirtualBox prints the selector without a name.
            levels_.back().parts.take(name_.empty() ? "selector" : name_, number);
        }
    } else if (const auto encoding = register_field(name_, Side::guest)) {
        builder_.mark_as_guests_view();
        builder_.set(*item_of_encoding(*encoding), name_, number);
    }
    name_.clear();
}

}  // namespace hvp::tool
