#include "tool/mutation_copy.hpp"

#include <algorithm>
#include <set>

#include "tool/base/files.hpp"
#include "tool/base/subprocess.hpp"
#include "tool/built_objects.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;
using Environment = decltype(Command::environment);

std::string spaced(const std::vector<fs::path>& names) {
    std::string text;
    for (const fs::path& name : names) {
        text += (text.empty() ? "" : " ") + name.string();
    }
    return text;
}

// Then commands change, and an object made by the old one is no use.
bool belongs_to_cmake(const fs::path& file) {
    return file.filename() == "CMakeLists.txt" || file.extension() == ".cmake";
}

// A file that has the same time and size is the same: both are copied.
void copy_with_time(const fs::path& from, const fs::path& to) {
    std::error_code not_there;
    const fs::file_time_type time = fs::last_write_time(from);
    if (fs::last_write_time(to, not_there) == time && fs::file_size(to) == fs::file_size(from)) {
        return;
    }
    fs::create_directories(to.parent_path());
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
    fs::last_write_time(to, time);
}

// The files below `folder`, relative to it. Not the links: tests make them for themselves.
std::vector<fs::path> files_below(const fs::path& folder) {
    std::vector<fs::path> names;
    std::error_code not_there;
    for (const auto& entry : fs::recursive_directory_iterator{folder, not_there}) {
        if (entry.is_regular_file() && !entry.is_symlink()) {
            names.push_back(entry.path().lexically_relative(folder));
        }
    }
    return names;
}

void mirror(const fs::path& from, const fs::path& to) {
    for (const fs::path& name : files_below(to)) {
        if (!fs::exists(from / name)) {
            fs::remove(to / name);
        }
    }
    for (const fs::path& name : files_below(from)) {
        copy_with_time(from / name, to / name);
    }
}

}  // namespace

std::vector<fs::path> MutationCopy::original_files() const {
    const auto listing = capture(
        {.arguments = {"git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"},
         .folder = original_.root});
    std::vector<fs::path> files;
    if (listing && listing->status == 0) {
        std::string_view rest = listing->output;
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find('\0'), rest.size());
            files.emplace_back(rest.substr(0, end));
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
        return files;
    }
    // Not a git repository: an unpacked archive.
    for (auto entry = fs::recursive_directory_iterator{original_.root};
         entry != fs::recursive_directory_iterator{}; ++entry) {
        const fs::path name = fs::relative(entry->path(), original_.root);
        if (name == "build" || name == "runs") {
            entry.disable_recursion_pending();
        } else if (entry->is_regular_file()) {
            files.push_back(name);
        }
    }
    return files;
}

void MutationCopy::copy_if_different(const fs::path& name) const {
    // Equal files keep their time, so that nothing is built again without need.
    const fs::path from = original_.root / name;
    const fs::path to = tree_ / name;
    if (fs::exists(to) && read_bytes(from) == read_bytes(to)) {
        return;
    }
    fs::create_directories(to.parent_path());
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
}

std::string MutationCopy::refresh() const {
    std::set<fs::path> wanted;
    for (const fs::path& name : original_files()) {
        if (fs::is_regular_file(original_.root / name)) {
            copy_if_different(name);
            wanted.insert(name);
        }
    }
    std::vector<fs::path> surplus;
    for (auto entry = fs::recursive_directory_iterator{tree_};
         entry != fs::recursive_directory_iterator{}; ++entry) {
        const fs::path name = fs::relative(entry->path(), tree_);
        if (name == "build" || name == "runs") {
            entry.disable_recursion_pending();
        } else if (entry->is_regular_file() && !wanted.contains(name)) {
            surplus.push_back(entry->path());
        }
    }
    std::ranges::for_each(surplus, [](const fs::path& path) { fs::remove(path); });
    const std::string launcher =
        "_COMPILER_LAUNCHER=" + (original_.root / "tests/mutations/compile-or-take").string();
    // As ./playground does it.
    const auto configured =
        capture({.arguments = {"cmake", "-S", tree_.string(), "-B", (tree_ / "build").string(),
                               "-G", "Ninja", "-DCMAKE_CXX_COMPILER=clang++-19",
                               "-DCMAKE_ASM_COMPILER=clang-19", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                               "-DCMAKE_CXX" + launcher, "-DCMAKE_ASM" + launcher},
                 .folder = {}},
                true);
    if (!configured || configured->status != 0) {
        return "cannot be configured";
    }
    offer_built_objects(original_.root, tree_, offers());
    return {};
}

std::string MutationCopy::build(const std::vector<std::string>& targets,
                                const std::vector<fs::path>& changed) const {
    Environment environment;
    if (std::ranges::none_of(changed, belongs_to_cmake)) {
        environment = {{"HVP_BUILT", original_.build.string()},
                       {"HVP_OFFERS", offers().string()},
                       {"HVP_CHANGED", spaced(changed)}};
    }
    std::vector<std::string> arguments{"ninja", "-C", (tree_ / "build").string(), "-j2"};
    arguments.insert(arguments.end(), targets.begin(), targets.end());
    const auto built =
        capture({.arguments = arguments, .folder = {}, .environment = environment}, true);
    if (built && built->status == 0) {
        return {};
    }
    return "does not build:\n" + (built ? built->output : std::string{});
}

std::string MutationCopy::apply(const fs::path& patch) const {
    const auto patched = capture({.arguments = {"patch", "-p1", "--batch", "--forward", "--fuzz=0",
                                                "--input=" + patch.string()},
                                  .folder = tree_},
                                 true);
    return patched && patched->status == 0 ? "" : "the patch does not fit any more";
}

void MutationCopy::keep() const {
    mirror(tree_, kept_);
}

void MutationCopy::restore() const {
    mirror(kept_, tree_);
}

bool MutationCopy::tests_pass(const std::string& tests) const {
    const auto tested = capture({.arguments = {"ctest", "--test-dir", (tree_ / "build").string(),
                                               "-j2", "--no-tests=error", "-R", tests},
                                 .folder = {}},
                                true);
    return tested && tested->status == 0;
}

std::string MutationCopy::list_of_tests() const {
    const auto listed =
        capture({.arguments = {"ctest", "--test-dir", (tree_ / "build").string(), "--show-only"},
                 .folder = {}});
    return listed ? listed->output : std::string{};
}

}  // namespace hvp::tool
