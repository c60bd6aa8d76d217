// Places in a driver that we did not build: by its PDB, for people who know only its sources.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace hvp::tool {

class SourcePlaces {
public:
    /// `base`: where the image lies in the machine
    SourcePlaces(const std::filesystem::path& driver, std::uint64_t base);

    /// Returns  `init.c:271 (setup_vmcs)`, the place in the function that holds the instruction: what
    ///          is inlined there is a wrapper of one instruction; else `driver.sys+0x1234`
    [[nodiscard]] std::string place_at(std::uint64_t rip) const;
    /// Returns  the same for the instruction that ends just before.
    [[nodiscard]] std::string place_before(std::uint64_t rip) const;
    /// Returns  whether a VMWRITE of the driver ends there.
    [[nodiscard]] bool is_vmwrite_before(std::uint64_t rip) const;

private:
    [[nodiscard]] std::string symbolized(std::uint64_t address, std::uint64_t shown) const;

    std::filesystem::path driver_;
    std::uint64_t base_;
    std::vector<std::byte> memory_;
};

}  // namespace hvp::tool
