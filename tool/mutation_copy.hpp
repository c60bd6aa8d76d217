// A copy of the repository in which mutations are tried.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tool/base/repository.hpp"

namespace hvp::tool {

/// A copy of the tree with its own build folder, which stays between mutations and between calls.
/// What can go wrong returns a sentence about the copy, empty when all went well.
class MutationCopy {
public:
    /// `name` distinguishes the copies of one repository.
    MutationCopy(const Repository& repository, const std::string& name)
        : original_{repository},
          tree_{repository.build / "mutations" / name},
          kept_{repository.build / "mutations" / (name + "-kept")} {}

    /// Makes the copy as the original is.
    [[nodiscard]] std::string refresh() const;
    /// Builds; what does not come from one of the `changed` files is taken from the original's
    /// build.
    [[nodiscard]] std::string build(const std::vector<std::string>& targets,
                                    const std::vector<std::filesystem::path>& changed) const;
    [[nodiscard]] std::string apply(const std::filesystem::path& patch) const;
    /// Remembers the copy as it is now, with all that is built.
    void keep() const;
    /// Makes the copy as it was kept, and by the files' times, too: nothing is built again.
    void restore() const;
    /// `tests` is a regular expression over names, as ctest takes it.
    [[nodiscard]] bool tests_pass(const std::string& tests) const;
    [[nodiscard]] std::string list_of_tests() const;

private:
    [[nodiscard]] std::vector<std::filesystem::path> original_files() const;
    void copy_if_different(const std::filesystem::path& name) const;
    [[nodiscard]] std::filesystem::path offers() const { return tree_ / "build" / "offers"; }

    const Repository& original_;
    std::filesystem::path tree_;
    std::filesystem::path kept_;
};

}  // namespace hvp::tool
