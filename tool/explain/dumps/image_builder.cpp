#include "tool/explain/dumps/image_builder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hypervisor/vmcs/exit_reason.hpp"
#include "hypervisor/vmcs/instruction_error.hpp"
#include "hypervisor/vmcs/names/field_names.hpp"
#include "tool/explain/texts/rule_words.hpp"
#include "tool/explain/what_entry_said.hpp"

namespace hvp::tool {
namespace {

constexpr std::size_t most_unknown = 100;
constexpr std::size_t most_suggestions = 5;
constexpr std::size_t most_named = 4;

// The fields that Intel's manual counts in decimal.
bool is_counted_in_decimal(VmcsImage::Item item) {
    return item == vmx::checks::item(vmx::exit_reason) ||
           item == vmx::checks::item(vmx::vm_instruction_error);
}

std::string meaning_of(VmcsImage::Item item, std::uint64_t value) {
    const auto number = static_cast<std::uint32_t>(value);
    return item == vmx::checks::item(vmx::exit_reason) ? vmx::exit_reason_name(number & 0xFFFF)
                                                       : vmx::instruction_error_name(number);
}

}  // namespace

void ImageBuilder::store(Item item, std::uint64_t value, std::size_t line) {
    const Key key{item.kind, item.number};
    if (final_.contains(key)) {
        return;
    }
    const auto before = image_.look_up(item);
    if (before && *before != value && lines_.contains(key)) {
        if (twice_.size() < most_named) {
            twice_.push_back(
                fmt::format("{} (lines {} and {})", item_name(item), lines_[key], line));
        }
        ++twice_count_;
    }
    image_.set(item, value);
    lines_[key] = line;
}

void ImageBuilder::set_exactly(Item item, std::uint64_t value) {
    store(item, value, line_);
}

void ImageBuilder::set_for_good(Item item, std::uint64_t value) {
    store(item, value, line_);
    final_.insert({item.kind, item.number});
}

void ImageBuilder::set(NamedItem named, std::string_view name, const WrittenNumber& number) {
    hexadecimal_count_ += number.shows_hexadecimal ? 1 : 0;
    if (number.decimal && number.decimal != number.value && is_counted_in_decimal(named.item)) {
        undecided_.push_back({named, std::string{name}, number, line_});
        return;
    }
    constexpr std::uint64_t ten = 0x10;
    if (number.decimal && number.value >= ten && unmarked_.size() < most_named) {
        unmarked_.push_back(fmt::format("line {}: {} is {:X}H", line_, name, number.value));
    }
    std::uint64_t value = number.value;
    if (named.item.kind == Item::Kind::field) {
        const auto* field = vmx::find_field(static_cast<std::uint32_t>(named.item.number));
        const unsigned bits = named.is_high_half ? 32 : field->bits();
        if (bits < 64 && value >> bits != 0) {
            add_unknown(name, fmt::format("{:#x} does not fit into {} bits", value, bits));
            return;
        }
        if (named.is_high_half) {
            constexpr std::uint64_t lower = 0xFFFF'FFFF;
            const std::uint64_t before = image_.look_up(named.item).value_or(0);
            value = value << 32 | (before & lower);
            image_.set(named.item, value);
            return;
        }
    }
    store(named.item, value, line_);
}

bool ImageBuilder::wants_unknown() const {
    return image_.unknown.size() < most_unknown;
}

void ImageBuilder::add_unknown(std::string_view name) {
    // A word is compared with every known name, which is slow: not for each line of a log.
    constexpr std::size_t longest_name = 80;
    const bool suggest = image_.unknown.size() < most_suggestions && name.size() <= longest_name;
    if (wants_unknown()) {
        image_.unknown.push_back({line_, std::string{name.substr(0, longest_name)}, "no such field",
                                  suggest ? nearest_name(name) : std::string{}});
    }
}

void ImageBuilder::add_unknown(std::string_view name, std::string why) {
    if (wants_unknown()) {
        image_.unknown.push_back({line_, std::string{name}, std::move(why), {}});
    }
}

void ImageBuilder::add_note(std::string sentence) {
    constexpr std::size_t most_notes = 8;
    if (image_.notes.size() < most_notes &&
        std::ranges::find(image_.notes, sentence) == image_.notes.end()) {
        image_.notes.push_back(std::move(sentence));
    }
}

void ImageBuilder::begin_dump() {
    constexpr std::size_t most_dumps = 1000;
    if (!std::exchange(has_heading_, true) || earlier_.size() >= most_dumps) {
        return;
    }
    decide_all();
    VmcsImage next;
    for (const auto& [key, value] : image_.values()) {
        if (key.first != Item::Kind::field) {
            next.set({key.first, key.second}, value);
        }
    }
    next.unknown = image_.unknown;
    next.notes = image_.notes;
    earlier_.push_back(std::exchange(image_, std::move(next)));
    lines_.clear();
    final_.clear();
}

void ImageBuilder::decide(const Undecided& one) {
    const std::uint64_t hexadecimal = one.number.value;
    const std::uint64_t decimal = *one.number.decimal;
    // A long number is bit 31 with an exit reason, or all 32 bits in decimal.
    constexpr std::uint64_t short_number = 1000;
    const bool is_long = decimal >= short_number;
    const bool is_hexadecimal = is_long ? hexadecimal <= 0xFFFF'FFFF : hexadecimal_count_ != 0;
    const std::uint64_t taken = is_hexadecimal ? hexadecimal : decimal;
    line_ = one.line;
    if (taken > 0xFFFF'FFFF) {
        add_unknown(one.name, "the number does not fit into 32 bits");
        return;
    }
    store(one.named.item, taken, one.line);
    if (is_long) {
        return;
    }
    add_note(
        is_hexadecimal
            ? fmt::format(
                  "line {}: {} {:X} is taken for {:X}H = {}, {}: other numbers of this dump "
                  "are hexadecimal without a mark. Decimal {} would be {}; write 0n{} for "
                  "that.",
                  one.line, one.name, hexadecimal, hexadecimal, taken,
                  meaning_of(one.named.item, taken), decimal, meaning_of(one.named.item, decimal),
                  decimal)
            : fmt::format("line {}: {} {} is taken for decimal {}, {}: the manual counts them in "
                          "decimal, and no number of this dump is hexadecimal without a mark. {}H "
                          "would be {}, {}; write 0x{} for that.",
                          one.line, one.name, decimal, decimal, meaning_of(one.named.item, taken),
                          decimal, hexadecimal, meaning_of(one.named.item, hexadecimal), decimal));
}

void ImageBuilder::decide_all() {
    for (const Undecided& one : std::exchange(undecided_, {})) {
        decide(one);
    }
}

void ImageBuilder::note_values_that_differ() {
    if (twice_count_ == 0) {
        return;
    }
    const std::string more = twice_count_ > twice_.size()
                                 ? fmt::format(" and {} more", twice_count_ - twice_.size())
                                 : "";
    add_note(
        fmt::format("Two different values: {}{}. The dumps of two virtual processors are mixed, "
                    "or the text has several. The last value is taken; explain one dump alone.",
                    fmt::join(twice_, ", "), more));
}

void ImageBuilder::note_unmarked_numbers() {
    if (!unmarked_.empty() && hexadecimal_count_ == 0) {
        add_note(
            fmt::format("Numbers without a mark are read as hexadecimal, as most dumps have "
                        "them ({}); write 0n16 for a decimal one.",
                        fmt::join(unmarked_, ", ")));
    }
}

VmcsImage ImageBuilder::finish() {
    decide_all();
    note_values_that_differ();
    note_unmarked_numbers();
    if (earlier_.empty()) {
        return std::move(image_);
    }
    // The one whose VM entry failed is what the reader looks for; else the last.
    const std::size_t count = earlier_.size() + 1;
    earlier_.push_back(std::move(image_));
    const auto failed = std::ranges::find_if(
        earlier_, [](const VmcsImage& one) { return what_entry_said(one).failed(); });
    VmcsImage chosen = failed != earlier_.end() ? std::move(*failed) : std::move(earlier_.back());
    chosen.notes.insert(
        chosen.notes.begin(),
        fmt::format("The text has {} dumps. This is the {}.", count,
                    failed != earlier_.end() ? "first whose VM entry failed" : "last"));
    return chosen;
}

}  // namespace hvp::tool
