// What most sources use of the JSON library. This is in precompiled headers only (CMakeLists.txt of
// the tool, of its unit tests and of the lab's): the compiler instantiates these templates there,
// once, and not in each source. No source includes it.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace hvp::tool {

template <typename Json>
void use_json(Json& json, const std::string& text, std::string_view view, std::uint64_t number) {
    json = Json::parse(text, nullptr, false);
    json = Json::parse(view, nullptr, false);
    json[text] = json.value("name", text);
    json["name"] = text;
    json["name"] = view;
    json["name"] = number;
    json["name"] = true;
    json["name"] = "value";
    json["name"] = json.value("name", number);
    json["name"] = json.value("name", "");
    json["name"] = json.value("name", false);
    json = {{"name", text}, {"name", number}, {"name", "value"}, {"name", Json::array()}};
    json.push_back(text);
    json.push_back(number);
    json.push_back(json.at("name"));
    json.push_back({{"name", text}});
    for (const auto& [name, value] : json.items()) {
        json[name] = value.template get<std::string>();
    }
    for (const Json& value : json) {
        json = value.template get<std::uint64_t>() + value.size();
    }
    json = json.contains("name") || json.contains(text) || json == "value" || json == number ||
           json.dump(2) == text || json.find("name") == json.end();
}

inline void use_json_of_the_tool(nlohmann::ordered_json& json, const std::string& text) {
    use_json(json, text, text, text.size());
}

}  // namespace hvp::tool
