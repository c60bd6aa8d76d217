// A self-describing event, read by the lab's decoder, and then by a JSON library.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "lab/nt/etw/decoder.hpp"

namespace hvp::lab::etw {

struct Decoded {
    std::string name;
    std::string problem;  ///< with the name of the field in front, if it is a field's
    nlohmann::json fields;
};

inline Decoded decoded(Bytes metadata, Bytes data) {
    // Exactly as long as they are, so that AddressSanitizer sees one byte more.
    const std::vector<std::byte> own_metadata{metadata.begin(), metadata.end()};
    const std::vector<std::byte> own_data{data.begin(), data.end()};
    constexpr std::size_t room = 1 << 20;
    const auto buffer = std::make_unique_for_overwrite<char[]>(room);
    rtl::TextWriter writer{{buffer.get(), room}};
    dbg::JsonLine line{writer};
    line.open_object();
    const Reading reading = read_event(own_metadata, own_data, line);
    line.end_object();
    Decoded event{.name = std::string{reading.event}, .problem = {}, .fields = {}};
    if (reading.field) {
        event.problem = std::string{*reading.field} + ": ";
    }
    event.problem += reading.problem;
    if (reading.problem.empty()) {
        event.fields = nlohmann::json::parse(writer.view());
    }
    return event;
}

inline Decoded decoded(const std::string& metadata, const std::string& data) {
    return decoded(std::as_bytes(std::span{metadata}), std::as_bytes(std::span{data}));
}

}  // namespace hvp::lab::etw
