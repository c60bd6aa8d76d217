// The processor models of the emulator: which have VT-x, and which cannot run the lab at all.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace hvp::lab {

enum class ModelKind {
    vt_x,       ///< 64-bit mode and VT-x
    no_vt_x,    ///< 64-bit mode only: a driver must refuse to start
    no_64_bit,  ///< cannot run 64-bit Windows, and therefore not the lab
};

struct ModelFacts {
    std::string_view name;  ///< as the emulator's `cpu: model=` names it
    ModelKind kind;
};

inline constexpr std::string_view default_model = "corei7_skylake_x";

/// Every model of Bochs 2.7, in the order of its own list.
[[nodiscard]] std::span<const ModelFacts> all_models();

[[nodiscard]] std::optional<ModelFacts> find_model(std::string_view name);

}  // namespace hvp::lab
