// Where the functions of an image begin, by its PDB.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace hvp::tool {

/// Reads what llvm-pdbutil prints of a PDB's symbols and sections.
///
/// Returns  the offsets in the image of all functions of this name, which may leave out namespaces;
///          none for a function that is only inlined
[[nodiscard]] std::vector<std::uint64_t> functions_named(std::string_view name,
                                                         std::string_view dump);

/// Returns  what llvm-pdbutil prints of the PDB in the image's folder; empty if there is none
[[nodiscard]] std::string dump_symbols(const std::filesystem::path& image);

}  // namespace hvp::tool
