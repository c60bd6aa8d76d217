#include "tool/record/timeline.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace hvp::tool {
namespace {

// The log comes a little earlier than the console: of what it says, some may be later than the end.
constexpr std::size_t most_of_latest = 1'000;

}  // namespace

void Timeline::add(Event event) {
    last_tick_ = std::max(last_tick_, event.t);
    // A million exits come from the processor's log alone (and are in ProcessorRecord). What
    // driver and lab report is kept whole, as the witnesses are compared to the end.
    if (++counts_[{event.from, event.name}] <= most_of_a_kind_ || event.from != "processor") {
        events_.push_back(std::move(event));
        return;
    }
    latest_of_floods_.push_back(std::move(event));
    if (latest_of_floods_.size() > most_of_latest) {
        latest_of_floods_.pop_front();
    }
}

// The processor's log and the lab's lines come through two channels, and which one is read first
// depends on the host. With several processors the clock counts in steps of a few instructions, so
// that one tick has events of both.
enum class Timeline::Turn : std::uint8_t {
    driver_before_entry,  ///< what the driver noted up to its VM entry
    processor,
    driver_and_lab,
};

std::vector<Timeline::Turn> Timeline::turns() const {
    std::vector<Turn> turns(events_.size(), Turn::driver_and_lab);
    std::map<unsigned, std::uint64_t> entry_at;  // by processor: the next entry that it noted
    for (std::size_t i = events_.size(); i-- > 0;) {
        const Event& event = events_[i];
        if (event.from == "processor") {
            turns[i] = Turn::processor;
            continue;
        }
        if (event.is("driver", "VmEntry") || event.is("driver", "VmxOn")) {
            entry_at[event.cpu] = event.t;
        }
        const auto entry = entry_at.find(event.cpu);
        if (event.from == "driver" && entry != entry_at.end() && entry->second == event.t) {
            turns[i] = Turn::driver_before_entry;
        }
    }
    return turns;
}

void Timeline::sort() {
    const std::vector<Turn> turn = turns();
    std::vector<std::tuple<std::uint64_t, Turn, std::size_t>> order;
    order.reserve(events_.size());
    for (std::size_t i = 0; i < events_.size(); ++i) {
        order.emplace_back(events_[i].t, turn[i], i);
    }
    std::ranges::sort(order);
    std::vector<Event> sorted;
    sorted.reserve(events_.size());
    for (const auto& [t, its_turn, index] : order) {
        sorted.push_back(std::move(events_[index]));
    }
    events_ = std::move(sorted);
}

const Event* Timeline::last(std::string_view from, std::string_view name) const {
    const auto found = std::ranges::find_if(events_.rbegin(), events_.rend(),
                                            [&](const Event& e) { return e.is(from, name); });
    return found == events_.rend() ? nullptr : &*found;
}

std::vector<const Event*> Timeline::all(std::string_view from, std::string_view name) const {
    std::vector<const Event*> found;
    for (const Event& event : events_) {
        if (event.is(from, name)) {
            found.push_back(&event);
        }
    }
    return found;
}

std::vector<Timeline::Repeated> Timeline::repeated(std::string_view from,
                                                   std::string_view name) const {
    std::vector<Repeated> different;
    std::map<std::string, std::size_t> known;  // what it says, and which one it is
    for (const Event* event : all(from, name)) {
        const auto [place, is_new] = known.emplace(event->fields.dump(), different.size());
        if (is_new) {
            different.push_back({event, 0});
        }
        ++different[place->second].times;
    }
    return different;
}

std::vector<const Event*> Timeline::before(const Event& event, std::size_t most) const {
    const auto last_of = [&](const auto& from, std::size_t count) {
        std::vector<const Event*> found;
        for (std::size_t i = count - std::min(count, most); i < count; ++i) {
            found.push_back(&from[i]);
        }
        return found;
    };
    const auto listed = last_of(events_, static_cast<std::size_t>(&event - events_.data()));
    const auto later =
        std::ranges::find_if(latest_of_floods_, [&](const Event& e) { return e.t > event.t; });
    const auto unlisted =
        last_of(latest_of_floods_, static_cast<std::size_t>(later - latest_of_floods_.begin()));
    std::vector<const Event*> found;
    const auto time = [](const Event* e) { return e->t; };
    std::ranges::merge(listed, unlisted, std::back_inserter(found), {}, time, time);
    return {found.end() - static_cast<std::ptrdiff_t>(std::min(most, found.size())), found.end()};
}

std::uint64_t Timeline::count(const std::string& from, const std::string& name) const {
    const auto found = counts_.find({from, name});
    return found == counts_.end() ? 0 : found->second;
}

std::string Timeline::json_lines() const {
    std::string text;
    std::map<std::pair<std::string, std::string>, std::uint64_t> listed;
    for (const Event& event : events_) {
        if (++listed[{event.from, event.name}] <= most_of_a_kind_) {
            text += json_line(event);
            text += '\n';
        }
    }
    for (const auto& [kind, count] : counts_) {
        if (count > most_of_a_kind_) {
            text += json_line(
                {.t = last_tick_,
                 .cpu = 0,
                 .from = kind.first,
                 .name = "NotListed",
                 .fields = {{"of", kind.second}, {"listed", most_of_a_kind_}, {"count", count}}});
            text += '\n';
        }
    }
    return text;
}

}  // namespace hvp::tool
