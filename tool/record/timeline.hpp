// All events of a run in the order of time; floods are counted instead of kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tool/record/event.hpp"

namespace hvp::tool {

class Timeline {
public:
    /// `most_of_a_kind`: of more events of one name from one witness only the count
    /// gets into events.jsonl.
    explicit Timeline(std::uint64_t most_of_a_kind) : most_of_a_kind_{most_of_a_kind} {}

    void add(Event event);
    /// Puts the events in order. In one tick the processor's come after what the driver noted up to
    /// its VM entry, and before all else; whichever channel was read first.
    void sort();

    [[nodiscard]] const std::vector<Event>& events() const { return events_; }
    /// Returns  how many events of that name there were, floods too
    [[nodiscard]] std::uint64_t count(const std::string& from, const std::string& name) const;
    /// Returns  the last event of that name, or nullptr.
    [[nodiscard]] const Event* last(std::string_view from, std::string_view name) const;
    [[nodiscard]] std::vector<const Event*> all(std::string_view from, std::string_view name) const;

    /// Returns  the last few events of all witnesses before this one, floods too.
    ///
    /// Needs    `event`: one of events(), which are in order
    [[nodiscard]] std::vector<const Event*> before(const Event& event, std::size_t most) const;

    /// Returns  the content of events.jsonl; a kind that flooded has one line more, with its count.
    [[nodiscard]] std::string json_lines() const;

    /// An event, and how many there are that say the same.
    struct Repeated {
        const Event* first;
        std::uint64_t times;
    };
    /// Returns  the different ones of that name, each with the first of its kind
    [[nodiscard]] std::vector<Repeated> repeated(std::string_view from,
                                                 std::string_view name) const;

private:
    enum class Turn : std::uint8_t;
    [[nodiscard]] std::vector<Turn> turns() const;

    std::uint64_t most_of_a_kind_;
    std::vector<Event> events_;
    std::deque<Event> latest_of_floods_;
    std::map<std::pair<std::string, std::string>, std::uint64_t> counts_;
    std::uint64_t last_tick_ = 0;
};

}  // namespace hvp::tool
