// Turns the lab's lines on port 0xE9 into events: the kernel's own, and what drivers print.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "tool/record/event.hpp"

namespace hvp::tool {

/// Reads one JSON line of the lab.  A driver's DebugPrint may have several lines, each an event.
///
/// Returns  the events; nullopt when the line is not one of the lab's (cut, garbled).
[[nodiscard]] std::optional<std::vector<Event>> read_lab_line(std::string_view line);

/// The rule of the finding that stands for a line which cannot be read.
inline constexpr std::string_view unreadable_line_rule = "UnreadableLine";

/// Returns  the finding that stands for a line of the lab's that is cut or garbled, at a tick
[[nodiscard]] Event unreadable_line(std::string_view line, std::uint64_t tick);

/// Reads what a driver printed: `EventName key=value key="value with spaces"`. Decimal numbers
/// become numbers, all else strings; `at=0x…` is the tick of the event and no field.
///
/// Returns  nullopt when the text has another form, for example that of a sentence.
[[nodiscard]] std::optional<Event> read_driver_text(std::string_view text,
                                                    std::uint64_t printed_at);

}  // namespace hvp::tool
