// Objects that the build of one tree has made, offered to the build of a copy of that tree.
#pragma once

#include <filesystem>

namespace hvp::tool {

/// For each object in `original`/build that is newer than all it was made from, writes
/// `offers`/OBJECT.d: the dependencies of the same object in the tree `copy`.
/// tests/mutations/compile-or-take takes the object where there is such a file.
void offer_built_objects(const std::filesystem::path& original, const std::filesystem::path& copy,
                         const std::filesystem::path& offers);

}  // namespace hvp::tool
