// Which room may include which: arrows point down only, and the VMM knows no operating system.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>

#include "tests/repository/sources.hpp"

namespace hvp::repository {
namespace {

struct Layer {
    std::string folder;
    std::vector<std::string> may_include;  ///< prefixes, in addition to its own folder
};

/// The folders that a name in the table stands for.
std::vector<std::string> folders_of(const std::string& name) {
    if (!name.ends_with("/*")) {
        return {name};
    }
    std::vector<std::string> folders;
    const std::string parent = name.substr(0, name.size() - 2);
    for (const auto& entry : std::filesystem::directory_iterator{repository_root() / parent}) {
        if (entry.is_directory()) {
            folders.push_back(parent + "/" + entry.path().filename().string());
        }
    }
    return folders;
}

/// The table of tests/repository/layers.txt; check-layers reads it, too.
std::vector<Layer> all_layers() {
    std::vector<Layer> layers;
    std::istringstream table{read_file("tests/repository/layers.txt")};
    for (std::string line; std::getline(table, line);) {
        const std::size_t colon = line.find(':');
        if (line.starts_with("#") || colon == std::string::npos) {
            continue;
        }
        for (const std::string& folder : folders_of(line.substr(0, colon))) {
            std::istringstream names{line.substr(colon + 1)};
            layers.push_back({.folder = folder + "/", .may_include = {}});
            for (std::string name; names >> name;) {
                layers.back().may_include.push_back(name);
            }
        }
    }
    return layers;
}

/// The quoted includes of `file` that its layer does not allow.
std::vector<std::string> forbidden_includes(const SourceFile& file, const Layer& layer) {
    static const std::regex include{R"re(#include "([^"]+)")re"};
    std::vector<std::string> forbidden;
    for (std::sregex_iterator it{file.text.begin(), file.text.end(), include}, end; it != end;
         ++it) {
        const std::string target = (*it)[1].str();
        const bool allowed = target.starts_with(layer.folder) ||
                             std::ranges::any_of(layer.may_include, [&](const std::string& prefix) {
                                 return target.starts_with(prefix);
                             });
        if (!allowed) {
            forbidden.push_back(target);
        }
    }
    return forbidden;
}

TEST(Layers, ArrowsPointDownOnly) {
    for (const Layer& layer : all_layers()) {
        const auto files = files_below({layer.folder}, {".hpp", ".cpp", ".S"});
        EXPECT_THAT(files, testing::Not(testing::IsEmpty())) << layer.folder;
        for (const SourceFile& file : files) {
            EXPECT_THAT(forbidden_includes(file, layer), testing::IsEmpty()) << file.path;
        }
    }
}

TEST(Layers, AreCheckedAgainstTheTable) {
    const SourceFile bad{.path = "hypervisor/arch/x.hpp",
                         .text = "#include \"hypervisor/vmcs/fields.hpp\"\n"};
    EXPECT_THAT(forbidden_includes(bad, all_layers().front()),
                testing::ElementsAre("hypervisor/vmcs/fields.hpp"));
}

/// What the page about the architecture says of a layer's folder: the last column of its table.
std::string documented(const std::string& folder) {
    const std::regex row{R"(\| `([^`]+)` \| .* \| ([^|]*) \|)"};
    std::istringstream page{read_file("docs/architecture.md")};
    std::smatch cells;
    for (std::string line; std::getline(page, line);) {
        if (std::regex_match(line, cells, row) && cells[1] == folder) {
            return cells[2];
        }
    }
    return "no row";
}

TEST(Layers, AreThoseOfTheArchitecturePage) {
    const std::regex row{R"((?:^|\n)([^#:\n]+):([^\n]*))"};
    const std::string table = read_file("tests/repository/layers.txt");
    for (std::sregex_iterator it{table.begin(), table.end(), row}, end; it != end; ++it) {
        const std::string folder = (*it)[1] == "stages/*" ? "stages/<name>" : (*it)[1].str();
        std::string expected;
        std::istringstream names{(*it)[2]};
        for (std::string one; names >> one;) {
            expected += (expected.empty() ? "`" : ", `") + one + "`";
        }
        EXPECT_EQ(documented(folder), expected.empty() ? "–" : expected) << folder;
    }
}

// The VMM's sources include no header of an operating system, and only headers of the standard
// library that need none.
TEST(Layers, TheHypervisorIsFreestanding) {
    const std::regex system_include{R"(#include <([^>]+)>)"};
    const std::vector<std::string> freestanding{
        "algorithm", "array",       "bit",         "compare", "concepts", "cstddef",
        "cstdint",   "expected",    "limits",      "new",     "optional", "ranges",
        "span",      "string_view", "type_traits", "utility"};
    for (const SourceFile& file : files_below({"hypervisor"}, {".hpp", ".cpp"})) {
        for (std::sregex_iterator it{file.text.begin(), file.text.end(), system_include}, end;
             it != end; ++it) {
            EXPECT_THAT(freestanding, testing::Contains((*it)[1].str())) << file.path;
        }
    }
}

// All inline assembly of the VMM is in one header, and that of the stages' guests in another, so
// that a reader can trust every other file. Two files that stand in for the compiler's own memory
// functions are the exception.
TEST(Layers, InlineAssemblyHasOnePlace) {
    const std::vector<std::string> places{"hypervisor/arch/instructions.hpp",
                                          "hypervisor/arch/memory_functions.cpp",
                                          "lab/nt/rtl/memory.cpp", "stages/shared/probes.hpp"};
    const std::regex assembly{R"(\basm\s*(volatile)?\s*\()"};
    for (const SourceFile& file :
         files_below({"hypervisor", "platform", "stages", "lab/nt"}, {".hpp", ".cpp"})) {
        const bool allowed = std::ranges::find(places, file.path) != places.end();
        EXPECT_EQ(std::regex_search(file.text, assembly), allowed) << file.path;
    }
}

}  // namespace
}  // namespace hvp::repository
