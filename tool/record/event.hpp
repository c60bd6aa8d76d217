// What happened in a run: the reports of the three witnesses in one form.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace hvp::tool {

using Json = nlohmann::ordered_json;

/// One line of events.jsonl.
struct Event {
    std::uint64_t t = 0;  ///< the emulator's tick
    unsigned cpu = 0;
    std::string from;  ///< driver, lab or processor
    std::string name;
    Json fields = Json::object();

    [[nodiscard]] bool is(std::string_view who, std::string_view what) const {
        return from == who && name == what;
    }
    /// Returns  the field as people read it: strings without quotes; empty when there is none.
    [[nodiscard]] std::string text(std::string_view field) const;
    /// Returns  an array's elements; none where the field is missing or something else.
    [[nodiscard]] Json array(std::string_view field) const;
    /// Returns  a number, whether it was written as one or as a hexadecimal string; else
    ///          `otherwise`.
    [[nodiscard]] std::uint64_t number(std::string_view field, std::uint64_t otherwise = 0) const;
};

/// Fields of the lab's events that contain an address in the machine.
inline constexpr std::array<std::string_view, 4> address_fields{"rip", "caller", "address",
                                                                "allocated_by"};

/// Returns  a number, whether it is written as one or as a hexadecimal string; else `otherwise`.
[[nodiscard]] std::uint64_t number_of(const Json& value, std::uint64_t otherwise = 0);

/// Returns  the value as people read it: a string without quotes.
[[nodiscard]] std::string text_of(const Json& value);

/// Returns  the event as one line of JSON, without the line end.
[[nodiscard]] std::string json_line(const Event& event);

}  // namespace hvp::tool
