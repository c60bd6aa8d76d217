// The same as tool/base/json_templates.hpp, for the JSON of the lab's tests.
#pragma once

#include "tool/base/json_templates.hpp"

namespace hvp::tests {

inline void use_json_of_the_tests(nlohmann::json& json, const std::string& text) {
    tool::use_json(json, text, text, text.size());
}

}  // namespace hvp::tests
