#include "tool/built_objects.hpp"

#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tool/base/subprocess.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

struct BuiltObject {
    std::string name;  ///< relative to the build folder
    std::vector<fs::path> dependencies;
};

// Ninja's own list: `object: #deps 3, …` and then a line for each dependency, indented.
std::vector<BuiltObject> read_list(std::string_view text) {
    constexpr std::string_view indent = "    ";
    std::vector<BuiltObject> objects;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.starts_with(indent) && !objects.empty()) {
            objects.back().dependencies.emplace_back(line.substr(indent.size()));
        } else if (const std::size_t mark = line.find(": #deps"); mark != std::string_view::npos) {
            objects.push_back({.name = std::string{line.substr(0, mark)}, .dependencies = {}});
        }
    }
    return objects;
}

// Each header is asked for once, not once for each object.
class Times {
public:
    explicit Times(fs::path folder) : folder_{std::move(folder)} {}
    fs::file_time_type of(const fs::path& path) {
        const auto [place, is_new] = times_.try_emplace(path);
        if (is_new) {
            std::error_code gone;
            place->second = fs::last_write_time(folder_ / path, gone);
            if (gone) {
                place->second = fs::file_time_type::max();
            }
        }
        return place->second;
    }

private:
    fs::path folder_;
    std::map<fs::path, fs::file_time_type> times_;
};

bool is_up_to_date(const BuiltObject& object, const fs::path& build, Times& times) {
    std::error_code gone;
    const auto made = fs::last_write_time(build / object.name, gone);
    return !gone && !object.dependencies.empty() &&
           std::ranges::all_of(object.dependencies,
                               [&](const fs::path& path) { return times.of(path) <= made; });
}

std::string moved(const fs::path& path, const fs::path& original, const fs::path& copy) {
    const fs::path relative = path.lexically_relative(original);
    const bool inside = !path.is_relative() && !relative.empty() && *relative.begin() != "..";
    return inside ? (copy / relative).string() : path.string();
}

}  // namespace

void offer_built_objects(const fs::path& original, const fs::path& copy, const fs::path& offers) {
    std::error_code ignored;
    fs::remove_all(offers, ignored);
    const fs::path build = original / "build";
    const auto listed =
        capture({.arguments = {"ninja", "-C", build.string(), "-t", "deps"}, .folder = {}});
    if (!listed || listed->status != 0) {
        return;  // nothing was built there: all is compiled
    }
    Times times{build};
    for (const BuiltObject& object : read_list(listed->output)) {
        if (!is_up_to_date(object, build, times)) {
            continue;
        }
        const fs::path offer = offers / (object.name + ".d");
        fs::create_directories(offer.parent_path());
        std::ofstream file{offer};
        file << object.name << ':';
        for (const fs::path& dependency : object.dependencies) {
            file << " \\\n  " << moved(dependency, original, copy);
        }
        file << '\n';
    }
}

}  // namespace hvp::tool
