#include "tool/mutations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>

#include "tool/subprocess.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;
using Environment = decltype(Command::environment);

struct Mutation {
    fs::path patch;
    std::vector<std::string> tests;
    std::vector<std::string> targets;  ///< what the tests need built
    std::vector<fs::path> files;       ///< that the patch changes
};

// Header lines `Test: NAME` and `Build: TARGET`, then a patch as `diff -u a/… b/…` makes it.
Mutation read_mutation(const fs::path& path) {
    Mutation mutation{.patch = path, .tests = {}, .targets = {}, .files = {}};
    std::ifstream file{path};
    constexpr std::string_view test_mark = "Test: ";
    constexpr std::string_view target_mark = "Build: ";
    constexpr std::string_view file_mark = "+++ b/";
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(test_mark)) {
            mutation.tests.push_back(line.substr(test_mark.size()));
        } else if (line.starts_with(target_mark)) {
            mutation.targets.push_back(line.substr(target_mark.size()));
        } else if (line.starts_with(file_mark)) {
            const std::string name = line.substr(file_mark.size());
            mutation.files.emplace_back(name.substr(0, name.find('\t')));
        }
    }
    return mutation;
}

std::vector<Mutation> read_mutations(const std::vector<std::string>& filters,
                                     const Repository& repository) {
    std::vector<Mutation> mutations;
    std::error_code ignored;
    for (const auto& entry :
         fs::directory_iterator{repository.root / "tests" / "mutations", ignored}) {
        const std::string name = entry.path().filename().string();
        const bool wanted = filters.empty() || std::ranges::any_of(filters, [&](const auto& word) {
                                return name.contains(word);
                            });
        if (entry.path().extension() == ".patch" && wanted) {
            mutations.push_back(read_mutation(entry.path()));
        }
    }
    std::ranges::sort(mutations, {}, &Mutation::patch);
    return mutations;
}

// A copy of the tree with its own build folder, which stays between mutations and between calls.
class Copy {
public:
    explicit Copy(const Repository& repository)
        : original_{repository}, tree_{repository.build / "mutations" / "tree"} {}

    /// Makes the copy as the original is; empty, or what went wrong.
    [[nodiscard]] std::string refresh();
    /// Builds what was not changed yet, and takes from the original what was built there.
    [[nodiscard]] std::string build_unchanged(const std::vector<std::string>& targets) const {
        return build(targets, {{"HVP_BUILT", original_.build.string()}});
    }
    [[nodiscard]] std::string build(const std::vector<std::string>& targets,
                                    const Environment& environment = {}) const;
    [[nodiscard]] std::string apply(const Mutation& mutation) const;
    void restore(const Mutation& mutation) const;
    /// `tests` is a regular expression over names, as ctest takes it.
    [[nodiscard]] bool tests_pass(const std::string& tests) const;
    [[nodiscard]] bool test_exists(const std::string& name) const;

private:
    [[nodiscard]] std::vector<fs::path> original_files() const;
    void copy_if_different(const fs::path& name) const;

    const Repository& original_;
    fs::path tree_;
};

std::vector<fs::path> Copy::original_files() const {
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

std::string content(const fs::path& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

void Copy::copy_if_different(const fs::path& name) const {
    // Equal files keep their time, so that nothing is built again without need.
    const fs::path from = original_.root / name;
    const fs::path to = tree_ / name;
    if (fs::exists(to) && content(from) == content(to)) {
        return;
    }
    fs::create_directories(to.parent_path());
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
}

std::string Copy::refresh() {
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
    return configured && configured->status == 0 ? "" : "cannot be configured";
}

std::string Copy::build(const std::vector<std::string>& targets,
                        const Environment& environment) const {
    std::vector<std::string> arguments{"ninja", "-C", (tree_ / "build").string(), "-j2"};
    arguments.insert(arguments.end(), targets.begin(), targets.end());
    const auto built =
        capture({.arguments = arguments, .folder = {}, .environment = environment}, true);
    if (built && built->status == 0) {
        return {};
    }
    return "does not build:\n" + (built ? built->output : std::string{});
}

std::string Copy::apply(const Mutation& mutation) const {
    const auto patched = capture({.arguments = {"patch", "-p1", "--batch", "--forward", "--fuzz=0",
                                                "--input=" + mutation.patch.string()},
                                  .folder = tree_},
                                 true);
    return patched && patched->status == 0 ? "" : "the patch does not fit any more";
}

void Copy::restore(const Mutation& mutation) const {
    for (const fs::path& name : mutation.files) {
        std::error_code ignored;
        fs::remove(tree_ / (name.string() + ".orig"), ignored);
        fs::remove(tree_ / (name.string() + ".rej"), ignored);
        if (fs::exists(original_.root / name)) {
            copy_if_different(name);
        }
    }
}

bool Copy::tests_pass(const std::string& tests) const {
    const auto tested = capture({.arguments = {"ctest", "--test-dir", (tree_ / "build").string(),
                                               "-j2", "--no-tests=error", "-R", tests},
                                 .folder = {}},
                                true);
    return tested && tested->status == 0;
}

bool Copy::test_exists(const std::string& name) const {
    const auto listed = capture({.arguments = {"ctest", "--test-dir", (tree_ / "build").string(),
                                               "--show-only", "-R", name},
                                 .folder = {}});
    return listed && !listed->output.contains("Total Tests: 0");
}

// Empty when each named test turned red; else what went wrong.
std::string judge(const Copy& copy, const Mutation& mutation) {
    if (mutation.tests.empty() || mutation.targets.empty()) {
        return "names no test, or no target to build";
    }
    if (std::string error = copy.apply(mutation); !error.empty()) {
        return error;
    }
    if (std::string error = copy.build(mutation.targets); !error.empty()) {
        return error;
    }
    for (const std::string& test : mutation.tests) {
        if (copy.tests_pass(test)) {
            return fmt::format("nobody noticed: {} still passes", test);
        }
    }
    return {};
}

// A test that fails without any mutation would prove nothing.
std::string check_without_mutation(const Copy& copy, const std::vector<Mutation>& mutations) {
    std::set<std::string> tests;
    std::set<std::string> targets;
    for (const Mutation& mutation : mutations) {
        tests.insert(mutation.tests.begin(), mutation.tests.end());
        targets.insert(mutation.targets.begin(), mutation.targets.end());
    }
    if (std::string error = copy.build_unchanged({targets.begin(), targets.end()});
        !error.empty()) {
        return error;
    }
    for (const std::string& test : tests) {
        if (!copy.test_exists(test)) {
            return fmt::format("has no test {}", test);
        }
    }
    if (copy.tests_pass(fmt::format("{}", fmt::join(tests, "|")))) {
        return {};
    }
    const auto failed = std::ranges::find_if_not(
        tests, [&](const std::string& test) { return copy.tests_pass(test); });
    return fmt::format("{} fails without any mutation", failed == tests.end() ? "a test" : *failed);
}

}  // namespace

TestCounts run_mutations(const std::vector<std::string>& filters, const Repository& repository) {
    const std::vector<Mutation> mutations = read_mutations(filters, repository);
    if (mutations.empty()) {
        return {};
    }
    fmt::print("mutations: {}; building a copy of the tree\n", mutations.size());
    std::fflush(stdout);
    Copy copy{repository};
    std::string error = copy.refresh();
    if (error.empty()) {
        error = check_without_mutation(copy, mutations);
    }
    if (!error.empty()) {
        fmt::print("mutations: the copy {}\n", error);
        return {.passed = 0, .failed = static_cast<unsigned>(mutations.size())};
    }
    TestCounts counts;
    for (const Mutation& mutation : mutations) {
        const std::string complaint = judge(copy, mutation);
        copy.restore(mutation);
        const std::string name = mutation.patch.filename().string();
        fmt::print("{}  {}{}\n", complaint.empty() ? "noticed " : "MISSED  ", name,
                   complaint.empty() ? "" : ": " + complaint);
        std::fflush(stdout);
        ++(complaint.empty() ? counts.passed : counts.failed);
    }
    return counts;
}

}  // namespace hvp::tool
