#include "tool/explain/vmcs_dump.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "hypervisor/vmcs/names/field_names.hpp"
#include "tool/base/text.hpp"
#include "tool/explain/kernel_dumps.hpp"
#include "tool/explain/names/field_names.hpp"
#include "tool/explain/names/item_names.hpp"
#include "tool/explain/numbers.hpp"
#include "tool/explain/rule_words.hpp"

namespace hvp::tool {
namespace {

constexpr std::size_t most_unknown = 100;
constexpr std::size_t most_suggestions = 10;
constexpr std::string_view processor_prefix = "processor: ";
constexpr std::string_view memory_prefix = "memory ";

// "name = value", where it was found, and what precedes a colon on the same line.
struct Pair {
    std::string_view prefix;
    std::string_view name;
    std::string_view value;  ///< one word
    std::string_view rest;   ///< what follows it
};

class Reader {
public:
    VmcsImage read(std::string_view text);
    VmcsImage read(const Event& vmcs_fields);

private:
    void read_line(std::string_view line);
    bool read_own(std::string_view line);
    bool read_event(std::string_view line);
    void read_fields(const Json& fields);
    bool read_segment(std::string_view line);
    bool read_sysenter(std::string_view line);
    bool read_pairs(std::string_view line);
    void read_two_words(std::string_view line);
    bool take(const Pair& pair);
    void set_field(NamedItem named, std::string_view name, std::uint64_t value);
    void add_unknown(std::string_view name, std::string why, std::string suggestion = {});
    [[nodiscard]] std::string suggestion_for(std::string_view name) const;

    VmcsImage image_;
    DumpPart part_ = DumpPart::none;
    std::size_t line_ = 0;
};

VmcsImage Reader::read(std::string_view text) {
    while (!text.empty()) {
        ++line_;
        read_line(trimmed(take_line(text)));
    }
    return std::move(image_);
}

VmcsImage Reader::read(const Event& vmcs_fields) {
    const auto fields = vmcs_fields.fields.find("fields");
    if (fields != vmcs_fields.fields.end() && fields->is_array()) {
        read_fields(*fields);
    }
    return std::move(image_);
}

void Reader::add_unknown(std::string_view name, std::string why, std::string suggestion) {
    while (name.ends_with(':')) {
        name.remove_suffix(1);
    }
    if (image_.unknown.size() < most_unknown) {
        image_.unknown.push_back({line_, std::string{name}, std::move(why), std::move(suggestion)});
    }
}

void Reader::set_field(NamedItem named, std::string_view name, std::uint64_t value) {
    if (named.item.kind == Item::Kind::field) {
        const auto* field = vmx::find_field(static_cast<std::uint32_t>(named.item.number));
        const unsigned bits = named.is_high_half ? 32 : field->bits();
        if (bits < 64 && value >> bits != 0) {
            add_unknown(name, fmt::format("{:#x} does not fit into {} bits", value, bits));
            return;
        }
        constexpr std::uint64_t lower = 0xFFFF'FFFF;
        const std::uint64_t before = image_.look_up(named.item).value_or(0);
        if (named.is_high_half) {
            value = value << 32 | (before & lower);
        }
    }
    image_.set(named.item, value);
}

// A word is compared with every known name, which is slow: not for each line of a log.
std::string Reader::suggestion_for(std::string_view name) const {
    constexpr std::size_t longest_name = 80;
    return image_.unknown.size() < most_suggestions && name.size() <= longest_name
               ? nearest_name(name)
               : std::string{};
}

// "6800 Guest CR0 = 0x80050033", "processor: CPL = 0x0", "memory 0x1000 = 0x2b"
bool Reader::read_own(std::string_view line) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) {
        return false;
    }
    const std::string_view name = trimmed(line.substr(0, equals));
    const auto value = number_in(line.substr(equals + 1));
    if (!value) {
        return false;
    }
    if (name.starts_with(memory_prefix)) {
        const auto address = number_in(name.substr(memory_prefix.size()));
        if (address) {
            image_.set({Item::Kind::memory, *address}, *value);
        }
        return address.has_value();
    }
    if (name.starts_with(processor_prefix)) {
        const std::string_view fact = name.substr(processor_prefix.size());
        const auto* const found = std::ranges::find(fact_names, fact, &FactName::name);
        if (found != fact_names.end()) {
            image_.set(vmx::checks::item(found->fact), *value);
        } else {
            add_unknown(fact, "no such fact about a processor");
        }
        return true;
    }
    return false;
}

// A line of events.jsonl: {"event": "VmcsFields", "fields": ["0x6800", "0x80050033", …]}
bool Reader::read_event(std::string_view line) {
    if (!line.starts_with('{')) {
        return false;
    }
    if (!line.contains("\"VmcsFields\"")) {
        return true;
    }
    const Json event = Json::parse(line, nullptr, false);
    if (!event.is_object() || !event.contains("fields") || !event["fields"].is_array()) {
        return true;
    }
    read_fields(event["fields"]);
    return true;
}

// Encodings and values in turn.
void Reader::read_fields(const Json& fields) {
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        if (const auto named = item_of_encoding(number_of(fields[i]))) {
            set_field(*named, "", number_of(fields[i + 1]));
        }
    }
}

// "CS:   sel=0x0010, attr=0x0a09b, limit=0xffffffff, base=0x0" (KVM), "CS: 0010 0a09b ffffffff 0"
bool Reader::read_segment(std::string_view line) {
    if (part_ != DumpPart::guest) {
        return false;
    }
    const std::size_t colon = line.rfind(':');
    if (colon == std::string_view::npos) {
        return false;
    }
    const std::string_view before = trimmed(line.substr(0, colon));
    const std::size_t blank = before.find_last_of(" \t)]");
    const auto row =
        segment_row(blank == std::string_view::npos ? before : before.substr(blank + 1));
    if (!row) {
        return false;
    }
    std::vector<std::uint64_t> values;
    std::string_view rest = line.substr(colon + 1);
    while (!rest.empty()) {
        const std::size_t start = rest.find_first_not_of(" \t,");
        if (start == std::string_view::npos) {
            break;
        }
        rest.remove_prefix(start);
        const std::size_t equals = rest.find('=');
        const std::size_t end = rest.find_first_of(" \t,");
        if (equals < end) {
            rest.remove_prefix(equals + 1);
        }
        const std::string_view word = number_word(rest);
        const auto value = number_in(word);
        if (!value) {
            return false;
        }
        values.push_back(*value);
        rest.remove_prefix(std::max<std::size_t>(word.size(), 1));
    }
    const std::vector<std::uint32_t> encodings =
        row->selector != 0 ? std::vector{row->selector, row->rights, row->limit, row->base}
                           : std::vector{row->limit, row->base};
    if (values.size() != encodings.size()) {
        return false;
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
        set_field(*item_of_encoding(encodings[i]), before, values[i]);
    }
    return true;
}

// "Sysenter RSP=0000000000000000 CS:RIP=0000:0000000000000000"
bool Reader::read_sysenter(std::string_view line) {
    constexpr std::string_view mark = "CS:RIP=";
    const std::size_t place = line.find(mark);
    if (part_ == DumpPart::none || place == std::string_view::npos || !line.contains("Sysenter")) {
        return false;
    }
    const std::size_t rsp = line.find("RSP=");
    const std::string_view both = line.substr(place + mark.size());
    const std::size_t colon = both.find(':');
    if (rsp == std::string_view::npos || colon == std::string_view::npos) {
        return false;
    }
    const auto set = [&](std::string_view name, std::string_view text) {
        const auto encoding = encoding_in_part(part_, name);
        if (const auto value = number_in(number_word(text)); value && encoding) {
            set_field(*item_of_encoding(*encoding), name, *value);
        }
    };
    set("sysenterrsp", line.substr(rsp + 4));
    set("sysentercs", both);
    set("sysenterrip", both.substr(colon + 1));
    return true;
}

bool Reader::take(const Pair& pair) {
    const auto value = number_in(std::string{pair.value} + std::string{pair.rest.substr(0, 12)});
    if (!value) {
        return false;
    }
    if (part_ != DumpPart::none) {
        // The last words of it, for a log's prefix is no part of the name.
        std::string_view name = pair.name;
        while (true) {
            auto encoding = encoding_in_part(part_, pair.prefix.empty()
                                                        ? std::string{name}
                                                        : fmt::format("{}:{}", pair.prefix, name));
            if (!encoding) {
                encoding = encoding_in_part(part_, name);
            }
            if (encoding) {
                // KVM shows the EFER that the guest would have, whether it is in the VMCS or not.
                const bool is_shown_only =
                    pair.rest.contains("(effective)") || pair.rest.contains("(autoload)");
                if (!is_shown_only) {
                    set_field(*item_of_encoding(*encoding), name, *value);
                }
                return true;
            }
            const std::size_t blank = name.find_first_of(" \t)]");
            if (blank == std::string_view::npos) {
                break;
            }
            name = trimmed(name.substr(blank + 1));
        }
    }
    const std::string whole =
        pair.prefix.empty() ? std::string{pair.name} : fmt::format("{} {}", pair.prefix, pair.name);
    auto named = item_at_end_of(whole);
    if (!named) {
        named = item_of_encoding_in(pair.name, true);
    }
    if (named) {
        set_field(*named, pair.name, *value);
    }
    return named.has_value();
}

bool Reader::read_pairs(std::string_view line) {
    std::string_view prefix;
    std::size_t start = 0;
    bool found = false;
    for (std::size_t at = 0; at < line.size(); ++at) {
        const bool is_arrow = line.substr(at, 2) == "->" || line.substr(at, 2) == "=>";
        if (line[at] != '=' && line[at] != ':' && !is_arrow) {
            continue;
        }
        const std::string_view name = trimmed(line.substr(start, at - start));
        const std::size_t value_at = line.find_first_not_of(" \t", at + (is_arrow ? 2 : 1));
        if (value_at == std::string_view::npos) {
            break;
        }
        const std::string_view word = number_word(line.substr(value_at));
        const Pair pair{prefix, name, word, line.substr(value_at + word.size())};
        if (!word.empty() && number_in(word) && take(pair)) {
            found = true;
            start = value_at + word.size();
            at = start - 1;
        } else if (line[at] == ':') {
            const std::size_t blank = name.find_last_of(" \t)]");
            prefix = blank == std::string_view::npos ? name : name.substr(blank + 1);
            start = at + 1;
        } else if (number_in(word) && !name.empty() && !found) {
            // The last word of it, or all if it has blanks only as the SDM's names have.
            const std::size_t colon = name.find_last_of(":]>");
            const std::string_view shown =
                trimmed(colon == std::string_view::npos ? name : name.substr(colon + 1));
            if (part_ == DumpPart::none && !shown.empty()) {
                add_unknown(shown, "no such field", suggestion_for(shown));
            }
            return true;
        }
    }
    return found;
}

// "GUEST_CR0 0x80050033": the last word is the value.
void Reader::read_two_words(std::string_view line) {
    const std::size_t blank = line.find_last_of(" \t");
    if (blank == std::string_view::npos) {
        return;
    }
    const std::string_view name = trimmed(line.substr(0, blank));
    const auto value = number_in(line.substr(blank + 1));
    if (!value) {
        return;
    }
    if (const auto named = item_at_end_of(name)) {
        set_field(*named, name, *value);
    } else if (const auto encoding = item_of_encoding_in(name, false)) {
        set_field(*encoding, name, *value);
    } else if (!name.contains(' ') && name.contains('_')) {
        add_unknown(name, "no such field", suggestion_for(name));
    }
}

void Reader::read_line(std::string_view line) {
    if (line.empty() || line.starts_with('#') || read_event(line)) {
        return;
    }
    if (const auto part = part_of_heading(line)) {
        part_ = *part;
        return;
    }
    // KVM lists the MSRs that are loaded and stored, without saying where the lists are.
    if (part_ != DumpPart::none && line.contains("msr=") && line.contains("value=")) {
        return;
    }
    if (read_own(line) || read_segment(line) || read_sysenter(line) || read_pairs(line)) {
        return;
    }
    if (part_ == DumpPart::none) {
        read_two_words(line);
    }
}

}  // namespace

VmcsImage read_dump(std::string_view text) {
    return Reader{}.read(text);
}

VmcsImage image_of(const Event& vmcs_fields) {
    return Reader{}.read(vmcs_fields);
}

std::string write_dump(const VmcsImage& image) {
    std::string text;
    for (const auto& [key, value] : image.values()) {
        const Item item{key.first, key.second};
        switch (item.kind) {
            case Item::Kind::none:
                break;
            case Item::Kind::field:
            case Item::Kind::msr:
                text += fmt::format("{} = {:#x}\n", item_name(item), value);
                break;
            case Item::Kind::fact:
                text += fmt::format("{}{} = {:#x}\n", processor_prefix, item_name(item), value);
                break;
            case Item::Kind::memory:
                text += fmt::format("{}{:#x} = {:#x}\n", memory_prefix, item.number, value);
                break;
        }
    }
    return text;
}

}  // namespace hvp::tool
