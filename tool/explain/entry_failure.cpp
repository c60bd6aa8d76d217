#include "tool/explain/entry_failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <sstream>

#include "hypervisor/vmcs/names/field_names.hpp"
#include "tool/base/files.hpp"
#include "tool/base/stage_sources.hpp"
#include "tool/explain/dumps/vmcs_dump.hpp"
#include "tool/explain/names/item_names.hpp"
#include "tool/record/exit_pairs.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_places = 3;

bool is_word_at(std::string_view line, std::size_t place, std::size_t size) {
    const auto is_part = [&](std::size_t at) {
        return at < line.size() &&
               (std::isalnum(static_cast<unsigned char>(line[at])) != 0 || line[at] == '_');
    };
    return !is_part(place - 1) && !is_part(place + size);
}

// Lines that write the field: `write(…, identifier, …)`, perhaps over two or three lines.
void find_writes(const Repository& repository, const std::string& path, std::string_view identifier,
                 std::vector<std::string>& places) {
    const auto text = read_text(repository.root / path);
    if (!text) {
        return;
    }
    std::istringstream lines{*text};
    std::string before;
    std::size_t number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        before += line;
        const std::size_t place = line.find(identifier);
        if (place != std::string::npos && place > 0 && is_word_at(line, place, identifier.size()) &&
            before.contains("write")) {
            places.push_back(fmt::format("{}:{}", path, number));
        }
        if (line.contains(';') || line.contains('{')) {
            before.clear();  // a statement ends at its semicolon
        }
    }
}

// The stage's own files, then those of the library that it uses, and no others.
std::vector<std::string> files_of(const std::string& stage, const Repository& repository) {
    std::vector<std::string> files;
    for (const std::string& name : stage_sources(repository.stage(stage))) {
        files.push_back(fmt::format("stages/{}/{}", stage, name));
    }
    for (const std::string& piece : used_pieces(repository, stage)) {
        files.push_back(piece);
        files.push_back(fs::path{piece}.replace_extension(".cpp").string());
    }
    return files;
}

// A loop over the segments writes the fields of ES, "at" the segment's index.
std::string identifier_in_a_loop(const std::string& identifier) {
    constexpr std::string_view guest = "guest_";
    const std::size_t end = identifier.find('_', guest.size());
    if (!identifier.starts_with(guest) || end == std::string::npos) {
        return "";
    }
    const std::string es = std::string{guest} + "es" + identifier.substr(end);
    const bool is_segment =
        std::ranges::any_of(vmx::field_facts, [&](const auto& f) { return f.identifier == es; });
    return is_segment ? es : "";
}

// What the VMX instruction that failed said; the fields were read only after it.
void add_what_failed(const Timeline& timeline, VmcsImage& image) {
    const Event* failed = timeline.last("driver", "VmxInstructionFailed");
    if (failed == nullptr) {
        return;
    }
    if (failed->text("result") == "VMfailInvalid") {
        image.set(vmx::checks::item(vmx::checks::Fact::has_current_vmcs), 0);
    } else {
        image.set(vmx::checks::item(vmx::vm_instruction_error), failed->number("error_number"));
    }
}

// The VMCS with what its processor can do: whoever reads the dump later needs no model.
VmcsImage with_capabilities(VmcsImage image, const ModelProcessor& processor) {
    for (const MsrName& one : msr_names) {
        if (const auto value = processor.msr(one.msr)) {
            image.set(vmx::checks::item(one.msr), *value);
        }
    }
    const auto width = vmx::checks::Fact::physical_address_bits;
    image.set(vmx::checks::item(width), processor.fact(width).value_or(0));
    return image;
}

}  // namespace

std::string where_set(Item item, const Repository& repository, const std::string& stage) {
    const auto* field = item.kind == Item::Kind::field
                            ? vmx::find_field(static_cast<std::uint32_t>(item.number))
                            : nullptr;
    if (field == nullptr || stage.empty()) {
        return "";
    }
    const std::vector<std::string> files = files_of(stage, repository);
    std::vector<std::string> places;
    const std::string identifier{field->identifier};
    for (const std::string& written : {identifier, identifier_in_a_loop(identifier)}) {
        if (!places.empty() || written.empty()) {
            continue;
        }
        for (const std::string& file : files) {
            find_writes(repository, file, written, places);
        }
    }
    const std::size_t more = places.size() - std::min(places.size(), most_places);
    places.resize(places.size() - more);
    return fmt::format("{}{}", fmt::join(places, ", "),
                       more == 0 ? "" : fmt::format(" and {} more", more));
}

std::optional<EntryFailure> explain_entry_failure(const Timeline& timeline,
                                                  const Repository& repository,
                                                  const std::string& stage,
                                                  const std::string& model, std::size_t width) {
    const auto processor = ModelProcessor::of(model);
    const Event* recorded = timeline.last("driver", "VmcsFields");
    const Event* failed = timeline.last("driver", "VmxInstructionFailed");
    const bool is_refused = failed != nullptr && is_vm_entry(*failed);
    if (!processor || (recorded == nullptr && !is_refused)) {
        return std::nullopt;
    }
    VmcsImage image = recorded != nullptr ? image_of(*recorded) : VmcsImage{};
    if (is_refused) {
        add_what_failed(timeline, image);
    }
    const Judged judged{image, *processor, ModelIs::known};
    Explanation explanation = explain_image(judged);
    if (recorded == nullptr) {
        explanation.unchecked.clear();  // without a VMCS there is nothing to look at
    }
    const ExplanationStyle style{.model = model, .width = width, .where_set = [&](Item item) {
                                     return where_set(item, repository, stage);
                                 }};
    return EntryFailure{.dump = write_dump(with_capabilities(image, *processor)),
                        .text = explanation_text(judged, explanation, style),
                        .json = explanation_json(judged, explanation, style)};
}

}  // namespace hvp::tool
