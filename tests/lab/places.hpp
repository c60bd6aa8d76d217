// The paths of the built files that lab tests use. They are in one object file only: all others are
// the same in every folder, and need not be compiled again in a copy of the tree.
#pragma once

#include <filesystem>

namespace hvp::tests {

[[nodiscard]] std::filesystem::path program();      ///< hvp itself
[[nodiscard]] std::filesystem::path kernel_file();  ///< ntoskrnl.exe
[[nodiscard]] std::filesystem::path drivers_folder();
[[nodiscard]] std::filesystem::path source_folder();  ///< the repository

}  // namespace hvp::tests
