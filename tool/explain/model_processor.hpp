// What VM entry finds on one of the emulator's processors: its capability MSRs and address widths.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hypervisor/vmcs/entry_checks/vmcs_under_test.hpp"

namespace hvp::tool {

/// The processor that a dump is judged by when the dump does not say enough about its own.
class ModelProcessor {
public:
    /// Returns  nothing for a name that is no model with VT-x
    [[nodiscard]] static std::optional<ModelProcessor> of(std::string_view model);
    /// The models with VT-x.
    [[nodiscard]] static std::vector<std::string> names();

    [[nodiscard]] std::optional<std::uint64_t> msr(arch::Msr index) const;
    [[nodiscard]] std::optional<std::uint64_t> fact(vmx::checks::Fact fact) const;

private:
    using Msrs = std::array<std::uint64_t, 18>;
    explicit ModelProcessor(const Msrs& values) : values_{values} {}

    Msrs values_;
};

}  // namespace hvp::tool
