// The kernel's output: one JSON line on port E9 for each event.
// docs/lab-protocol.md lists the events.
#pragma once

#include <cstdint>
#include <string_view>

#include "lab/nt/dbg/json_line.hpp"
#include "lab/nt/ke/lock.hpp"

namespace hvp::lab::dbg {

/// The witness that reports the event.
enum class From : std::uint8_t { lab, driver };

/// One event. The line is sent when the object ends.
///
///     Event{"DriverEntryReturned"}.hex("status", status, 8).number("load", load);
///
/// There is one buffer, and one processor at a time has it. An event inside an event (a bug check
/// while one is being written) replaces the unfinished one. Interrupts are off meanwhile.
class Event {
public:
    explicit Event(std::string_view name, From from = From::lab);
    ~Event();
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    Event& number(std::string_view name, std::uint64_t value);
    Event& text(std::string_view name, std::string_view value);
    Event& boolean(std::string_view name, bool value);
    Event& hex(std::string_view name, std::uint64_t value, unsigned digits = 1);

    /// For arrays and objects.
    [[nodiscard]] JsonLine& line() { return line_; }

private:
    ke::Locked locked_;
    JsonLine line_;
};

/// Takes the output for this processor: no other one writes events from now on.
///
/// Where    interrupts off, for good
void take_over_output();

}  // namespace hvp::lab::dbg
