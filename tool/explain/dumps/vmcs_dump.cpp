#include "tool/explain/dumps/vmcs_dump.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hypervisor/vmcs/names/field_names.hpp"
#include "tool/base/text.hpp"
#include "tool/explain/dumps/image_builder.hpp"
#include "tool/explain/dumps/kernel_dumps.hpp"
#include "tool/explain/dumps/log_lines.hpp"
#include "tool/explain/dumps/messages.hpp"
#include "tool/explain/dumps/pairs.hpp"
#include "tool/explain/dumps/segments.hpp"
#include "tool/explain/dumps/structures.hpp"
#include "tool/explain/names/item_names.hpp"
#include "tool/explain/texts/rule_words.hpp"

namespace hvp::tool {
namespace {

constexpr std::string_view processor_prefix = "processor: ";
constexpr std::string_view memory_prefix = "memory ";

// Tries the forms of a line in turn; the most particular one first.
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

    ImageBuilder builder_;
    PairReader pairs_{builder_};
    StructureReader structures_{builder_};
    DumpPart part_ = DumpPart::none;
};

VmcsImage Reader::read(std::string_view text) {
    const std::string narrow = without_wide_characters(text);
    for_each_log_line(narrow, [this](const LogLine& line) {
        builder_.go_to_line(line.number);
        read_line(line.text);
    });
    pairs_.finish();
    return builder_.finish();
}

VmcsImage Reader::read(const Event& vmcs_fields) {
    const auto fields = vmcs_fields.fields.find("fields");
    if (fields != vmcs_fields.fields.end() && fields->is_array()) {
        read_fields(*fields);
    }
    return builder_.finish();
}

// "processor: CPL = 0x0", "memory 0x1000 = 0x2b"
bool Reader::read_own(std::string_view line) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos ||
        !(line.starts_with(memory_prefix) || line.starts_with(processor_prefix))) {
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
            builder_.set_exactly({Item::Kind::memory, *address}, *value);
        }
        return address.has_value();
    }
    const std::string_view fact = name.substr(std::min(processor_prefix.size(), name.size()));
    const auto* const found = std::ranges::find(fact_names, fact, &FactName::name);
    if (found != fact_names.end()) {
        builder_.set_exactly(vmx::checks::item(found->fact), *value);
    } else {
        builder_.add_unknown(fact, "no such fact about a processor");
    }
    return true;
}

// A line of events.jsonl: {"event": "VmcsFields", "fields": ["0x6800", "0x80050033", …]}
bool Reader::read_event(std::string_view line) {
    if (!line.starts_with("{\"t\"")) {
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
            const auto* field = vmx::find_field(static_cast<std::uint32_t>(named->item.number));
            builder_.set(*named, field->name, {number_of(fields[i + 1]), {}, false});
        }
    }
}

// The row of a segment register, perhaps behind the name of a module: "kvm_intel: CS: 0010 …".
bool Reader::read_segment(std::string_view line) {
    constexpr std::size_t longest_module = 40;
    if (read_segment_in_order(line, builder_)) {
        return true;
    }
    const std::size_t colon = line.substr(0, longest_module).find(": ");
    if (colon == std::string_view::npos) {
        return false;
    }
    const std::string_view rest = line.substr(colon + 2);
    return read_segment_in_order(trimmed(rest.substr(log_stamp(rest))), builder_);
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
        if (const auto value = written_number(number_word(text)); value && encoding) {
            builder_.set(*item_of_encoding(*encoding), name, *value);
        }
    };
    set("sysenterrsp", line.substr(rsp + 4));
    set("sysentercs", both);
    set("sysenterrip", both.substr(colon + 1));
    return true;
}

void Reader::read_line(std::string_view line) {
    // A comment; but some print each field after such a mark.
    if (line.starts_with('#')) {
        line = line.contains('=') ? trimmed(line.substr(1)) : std::string_view{};
    }
    if (line.empty() || read_event(line)) {
        return;
    }
    if (const auto part = part_of_heading(line)) {
        if (*part == DumpPart::guest) {
            builder_.begin_dump();
        }
        part_ = *part;
        pairs_.enter(part_);
        return;
    }
    if (is_without_fields(line) || read_own(line) || read_message(line, builder_) ||
        structures_.read(line)) {
        return;
    }
    if (part_ != DumpPart::host && part_ != DumpPart::controls && read_segment(line)) {
        return;
    }
    if (!read_sysenter(line)) {
        pairs_.read(line);
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
