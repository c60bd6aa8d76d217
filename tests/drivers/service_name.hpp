// One driver, many tests: the service name, the last part of the registry path, chooses.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "platform/windows/nt.hpp"

namespace hvp::tests {

/// Whether the registry path's last part is `prefix` and `name`.
[[nodiscard]] inline bool is_service(const UNICODE_STRING& path, std::string_view prefix,
                                     std::string_view name) {
    const std::size_t characters = path.Length / sizeof(wchar_t);
    if (characters <= prefix.size() + name.size()) {
        return false;
    }
    const auto* at = path.Buffer + characters - prefix.size() - name.size() - 1;
    const auto same = [&](std::string_view text) {
        return std::ranges::all_of(text, [&](char c) { return *at++ == static_cast<wchar_t>(c); });
    };
    return same(std::string_view{"\\", 1}) && same(prefix) && same(name);
}

}  // namespace hvp::tests
