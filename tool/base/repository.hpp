// Paths: the repository that this program was built from, and what its build made.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hvp::tool {

struct Repository {
    std::filesystem::path root;
    std::filesystem::path build;  ///< root/build, where this program was built

    [[nodiscard]] std::filesystem::path programs() const { return build / "bin"; }
    [[nodiscard]] std::filesystem::path rom() const { return programs() / "rom.bin"; }
    [[nodiscard]] std::filesystem::path kernel() const { return programs() / "ntoskrnl.exe"; }
    [[nodiscard]] std::filesystem::path stage(const std::string& name) const {
        return root / "stages" / name;
    }
    [[nodiscard]] std::filesystem::path stage_driver(const std::string& name) const {
        return programs() / "drivers" / (name + ".sys");
    }
    /// `runs/`, unless the environment's HVP_RUNS names another folder.
    [[nodiscard]] std::filesystem::path runs() const;
    /// Returns  the stages' names: every folder with a driver.cpp, in the order of `stages/order`,
    ///          which is that of reading; then those that are not named there.
    [[nodiscard]] std::vector<std::string> stages() const;

    /// Returns  the repository of the running program, which is in `build/bin`.
    [[nodiscard]] static Repository of_this_program();
};

}  // namespace hvp::tool
