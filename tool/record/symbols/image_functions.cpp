#include "tool/record/symbols/image_functions.hpp"

#include "lab/nt/hosted/mapped_image.hpp"
#include "lab/nt/ldr/pe_tables.hpp"
#include "tool/base/files.hpp"

namespace hvp::tool {

ImageFunctions::ImageFunctions(const std::filesystem::path& image) {
    auto file = read_bytes(image);
    if (!file) {
        return;
    }
    auto mapped = lab::pe::layout(*file);
    if (mapped) {
        file_ = std::move(*file);
        memory_ = std::move(mapped->bytes);
    }
}

std::optional<std::uint64_t> ImageFunctions::start_of(std::uint64_t address) const {
    const auto headers = lab::pe::parse(file_);
    if (!headers || address >= memory_.size()) {
        return std::nullopt;
    }
    const auto function =
        lab::pe::find_function(*headers, memory_, static_cast<std::uint32_t>(address));
    return function ? std::optional<std::uint64_t>{function->begin} : std::nullopt;
}

}  // namespace hvp::tool
