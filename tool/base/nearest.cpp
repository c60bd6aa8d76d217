#include "tool/base/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace hvp::tool {

namespace {

// As `distance`, but any number from `limit` on stands for all of them: most words are far from
// each other, which shows after a few letters.
std::size_t distance_below(std::string_view a, std::string_view b, std::size_t limit) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
        }
        if (std::ranges::min(row) >= limit) {
            return limit;
        }
    }
    return row.back();
}

}  // namespace

std::size_t distance(std::string_view a, std::string_view b) {
    return distance_below(a, b, std::max(a.size(), b.size()) + 1);
}

std::string nearest(std::string_view word, std::span<const std::string> known) {
    std::string best;
    std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const std::string& candidate : known) {
        // Each letter that one of them has more is one change at least.
        const std::size_t longer = std::max(word.size(), candidate.size());
        const std::size_t shorter = std::min(word.size(), candidate.size());
        // The beginning of a name is near, however long the rest is.
        const bool is_part = word.size() >= 3 && candidate.contains(word);
        if (!is_part && longer - shorter >= best_distance) {
            continue;
        }
        const std::size_t far = is_part ? 1 : distance_below(word, candidate, best_distance);
        if (far < best_distance) {
            best_distance = far;
            best = candidate;
        }
    }
    return best;
}

}  // namespace hvp::tool
