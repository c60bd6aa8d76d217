#include "lab/machine/models.hpp"

#include <algorithm>
#include <array>

namespace hvp::lab {
namespace {

using enum ModelKind;

// Read from the capability MSRs of each model of Bochs 2.7; the AMD ones have SVM at most.
constexpr auto models = std::to_array<ModelFacts>({
    {"bx_generic", vt_x},
    {"pentium", no_64_bit},
    {"pentium_mmx", no_64_bit},
    {"amd_k6_2_chomper", no_64_bit},
    {"p2_klamath", no_64_bit},
    {"p3_katmai", no_64_bit},
    {"p4_willamette", no_64_bit},
    {"core_duo_t2400_yonah", no_64_bit},
    {"atom_n270", no_64_bit},
    {"p4_prescott_celeron_336", no_vt_x},
    {"athlon64_clawhammer", no_vt_x},
    {"athlon64_venice", no_vt_x},
    {"turion64_tyler", no_vt_x},
    {"phenom_8650_toliman", no_vt_x},
    {"core2_penryn_t9600", vt_x},
    {"corei5_lynnfield_750", vt_x},
    {"corei5_arrandale_m520", vt_x},
    {"corei7_sandy_bridge_2600k", vt_x},
    {"zambezi", no_vt_x},
    {"trinity_apu", no_vt_x},
    {"ryzen", no_vt_x},
    {"corei7_ivy_bridge_3770k", vt_x},
    {"corei7_haswell_4770", vt_x},
    {"broadwell_ult", vt_x},
    {"corei7_skylake_x", vt_x},
    {"corei3_cnl", vt_x},
    {"corei7_icelake_u", vt_x},
    {"tigerlake", vt_x},
});

}  // namespace

std::span<const ModelFacts> all_models() {
    return models;
}

std::optional<ModelFacts> find_model(std::string_view name) {
    const auto* found = std::ranges::find(models, name, &ModelFacts::name);
    return found == models.end() ? std::nullopt : std::optional{*found};
}

}  // namespace hvp::lab
