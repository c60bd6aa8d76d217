#include "tool/record/event.hpp"

#include <charconv>

namespace hvp::tool {
namespace {

const Json* find(const Json& fields, std::string_view field) {
    const auto found = fields.find(field);
    return found == fields.end() ? nullptr : &*found;
}

std::string dump(const Json& value) {
    // A driver may print bytes that are not UTF-8.
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string Event::text(std::string_view field) const {
    const Json* value = find(fields, field);
    if (value == nullptr) {
        return {};
    }
    return text_of(*value);
}

Json Event::array(std::string_view field) const {
    const Json* value = find(fields, field);
    return value != nullptr && value->is_array() ? *value : Json::array();
}

std::string text_of(const Json& value) {
    return value.is_string() ? value.get<std::string>() : dump(value);
}

std::uint64_t Event::number(std::string_view field, std::uint64_t otherwise) const {
    const Json* value = find(fields, field);
    return value == nullptr ? otherwise : number_of(*value, otherwise);
}

std::uint64_t number_of(const Json& value, std::uint64_t otherwise) {
    if (value.is_number_integer()) {
        return value.get<std::uint64_t>();
    }
    if (!value.is_string()) {
        return otherwise;
    }
    std::string_view digits = value.get_ref<const std::string&>();
    const bool hexadecimal = digits.starts_with("0x");
    digits.remove_prefix(hexadecimal ? 2 : 0);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number,
                                              hexadecimal ? 16 : 10);
    return error == std::errc{} && end == digits.data() + digits.size() ? number : otherwise;
}

std::string json_line(const Event& event) {
    Json line = {{"t", event.t}, {"cpu", event.cpu}, {"from", event.from}, {"event", event.name}};
    for (const auto& [key, value] : event.fields.items()) {
        line[key] = value;
    }
    return dump(line);
}

}  // namespace hvp::tool
