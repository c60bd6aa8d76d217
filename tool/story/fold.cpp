#include "tool/story/fold.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace hvp::tool {
namespace {

// Fewer are read more easily as they are.
constexpr std::size_t least_times = 4;
constexpr std::size_t longest_period = 4;

// A guest's own words may be the same and mean different things; what a processor did is the same.
bool may_be_folded(const StoryStep& step) {
    return step.witness == "processor" || step.witness == "driver";
}

bool are_alike(const StoryStep& a, const StoryStep& b) {
    return a.witness == b.witness && a.text == b.text && a.optional == b.optional &&
           a.aside.empty() == b.aside.empty();
}

// How many times the `period` steps from `first` on come in a row.
std::size_t times_in_a_row(const std::vector<StoryStep>& steps, std::size_t first,
                           std::size_t period) {
    std::size_t same = 0;
    while (first + period + same < steps.size() && may_be_folded(steps[first + same]) &&
           are_alike(steps[first + same], steps[first + period + same])) {
        ++same;
    }
    return 1 + same / period;
}

// "+20 instr" of all: "+20 to +24 instr".
std::string aside_of_all(const std::vector<StoryStep>& steps, std::size_t first, std::size_t period,
                         std::size_t times) {
    const std::string& aside = steps[first].aside;
    if (!aside.starts_with('+')) {
        return aside;
    }
    const auto cost = [](const std::string& text) {
        std::uint64_t number = 0;
        for (const char c : text) {
            number = c >= '0' && c <= '9' ? number * 10 + static_cast<unsigned>(c - '0') : number;
        }
        return number;
    };
    std::uint64_t least = cost(aside);
    std::uint64_t most = least;
    for (std::size_t i = 0; i < times; ++i) {
        const std::uint64_t one = cost(steps[first + i * period].aside);
        least = std::min(least, one);
        most = std::max(most, one);
    }
    return least == most ? aside : fmt::format("+{} to +{} instr", grouped(least), grouped(most));
}

}  // namespace

std::vector<StoryStep> folded(std::vector<StoryStep> steps) {
    std::vector<StoryStep> told;
    for (std::size_t i = 0; i < steps.size();) {
        std::size_t period = 0;
        std::size_t times = 0;
        for (std::size_t p = 1; p <= longest_period && times < least_times; ++p) {
            period = p;
            times = times_in_a_row(steps, i, p);
        }
        if (times < least_times) {
            told.push_back(std::move(steps[i++]));
            continue;
        }
        for (std::size_t step = i; step < i + period; ++step) {
            told.push_back({.witness = steps[step].witness,
                            .text = fmt::format("{} × {}", steps[step].text, grouped(times)),
                            .aside = aside_of_all(steps, step, period, times),
                            .optional = steps[step].optional});
        }
        i += period * times;
    }
    return told;
}

}  // namespace hvp::tool
