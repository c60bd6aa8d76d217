#include "tests/lab/places.hpp"

namespace hvp::tests {

std::filesystem::path program() {
    return HVP_PROGRAM;
}

std::filesystem::path kernel_file() {
    return HVP_KERNEL;
}

std::filesystem::path drivers_folder() {
    return HVP_DRIVERS;
}

std::filesystem::path source_folder() {
    return HVP_SOURCE_DIR;
}

}  // namespace hvp::tests
