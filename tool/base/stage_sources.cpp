#include "tool/base/stage_sources.hpp"

#include <algorithm>
#include <fstream>
#include <tuple>

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view include_mark = "#include \"";

// The paths that a source includes in quotes: ours.
std::vector<std::string> includes_of(const fs::path& source) {
    std::vector<std::string> included;
    std::ifstream file{source};
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(include_mark)) {
            line.erase(0, include_mark.size());
            included.push_back(line.substr(0, line.find('"')));
        }
    }
    return included;
}

}  // namespace

std::vector<std::string> stage_sources(const fs::path& stage) {
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{stage, ignored}) {
        const fs::path extension = entry.path().extension();
        if (extension == ".cpp" || extension == ".hpp" || extension == ".S") {
            names.push_back(entry.path().filename().string());
        }
    }
    std::ranges::sort(names, {}, [](const std::string& name) {
        const int rank = name == "driver.cpp" ? 0 : name.starts_with("guest") ? 1 : 2;
        return std::tuple{rank, fs::path{name}.stem(), name.ends_with(".hpp") ? 0 : 1};
    });
    return names;
}

std::vector<std::string> used_pieces(const Repository& repository, const std::string& stage) {
    const fs::path own = fs::path{"stages"} / stage;
    std::vector<fs::path> to_read;
    for (const std::string& name : stage_sources(repository.stage(stage))) {
        to_read.push_back(own / name);
    }
    std::vector<std::string> pieces;
    for (std::size_t i = 0; i < to_read.size(); ++i) {
        for (const std::string& included : includes_of(repository.root / to_read[i])) {
            const fs::path path{included};
            if (path.parent_path() == own || is_among(pieces, included)) {
                continue;
            }
            pieces.push_back(included);
            to_read.push_back(path);
            to_read.push_back(fs::path{path}.replace_extension(".cpp"));
        }
    }
    return pieces;
}

bool is_among(const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
}

std::string opening_sentence(const fs::path& source) {
    constexpr std::string_view mark = "// ";
    std::string sentence;
    std::ifstream file{source};
    for (std::string line; std::getline(file, line) && line.starts_with(mark);) {
        sentence += (sentence.empty() ? "" : " ") + line.substr(mark.size());
        if (const std::size_t end = sentence.find(". "); end != std::string::npos) {
            return sentence.substr(0, end + 1);
        }
        if (sentence.ends_with('.')) {
            break;
        }
    }
    return sentence;
}

}  // namespace hvp::tool
