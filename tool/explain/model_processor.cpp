#include "tool/explain/model_processor.hpp"

#include <algorithm>
#include <array>

namespace hvp::tool {
namespace {

using vmx::checks::Fact;

constexpr std::size_t first_msr = 0x480;
constexpr std::size_t msr_count = 18;

/// The MSRs 480H to 491H of a model, in order; 0 where the model does not have one.
struct ModelMsrs {
    std::string_view name;
    std::array<std::uint64_t, msr_count> values;
};

// Read from Bochs 2.7; tests/lab/environment_test.cpp compares them with what a driver reads.
constexpr auto models = std::to_array<ModelMsrs>({
    {"core2_penryn_t9600",
     {0xD8'1000'0000'002B, 0x3F'0000'0016, 0xF7F9'FFFE'0401'E172, 0x3'FFFF'0003'6DFF,
      0x3FFF'0000'11FF, 0x4'01E0, 0x8000'0021, 0xFFFF'FFFF, 0x2000, 0x4'67FF, 0x34, 0x41'0000'0000,
      0, 0x3F'0000'0016, 0xF7F9'FFFE'0400'6172, 0x3'FFFF'0003'6DFB, 0x3FFF'0000'11FB, 0}},
    {"corei5_lynnfield_750",
     {0xD8'1000'0000'002B, 0x7F'0000'0016, 0xF7F9'FFFE'0401'E172, 0x7F'FFFF'0003'6DFF,
      0xFFFF'0000'11FF, 0x4'01E0, 0x8000'0021, 0xFFFF'FFFF, 0x2000, 0x67FF, 0x34, 0x7F'0000'0000,
      0xF01'0611'4141, 0x7F'0000'0016, 0xF7F9'FFFE'0400'6172, 0x7F'FFFF'0003'6DFB, 0xFFFF'0000'11FB,
      0}},
    {"corei5_arrandale_m520",
     {0xD8'1000'0000'002B, 0x7F'0000'0016, 0xF7F9'FFFE'0401'E172, 0x7F'FFFF'0003'6DFF,
      0xFFFF'0000'11FF, 0x4'01E0, 0x8000'0021, 0xFFFF'FFFF, 0x2000, 0x67FF, 0x34, 0xFF'0000'0000,
      0xF01'0611'4141, 0x7F'0000'0016, 0xF7F9'FFFE'0400'6172, 0x7F'FFFF'0003'6DFB, 0xFFFF'0000'11FB,
      0}},
    {"corei7_sandy_bridge_2600k",
     {0xD8'1000'0000'002B, 0x7F'0000'0016, 0xF7F9'FFFE'0401'E172, 0x7F'FFFF'0003'6DFF,
      0xFFFF'0000'11FF, 0x4'01E0, 0x8000'0021, 0xFFFF'FFFF, 0x2000, 0x6'27FF, 0x34, 0xFF'0000'0000,
      0xF01'0611'4141, 0x7F'0000'0016, 0xF7F9'FFFE'0400'6172, 0x7F'FFFF'0003'6DFB, 0xFFFF'0000'11FB,
      0}},
    {"corei7_ivy_bridge_3770k",
     {0xD8'1000'0000'002B, 0x7F'0000'0016, 0xF7F9'FFFE'0401'E172, 0x7F'FFFF'0003'6DFF,
      0xFFFF'0000'11FF, 0x4'01E0, 0x8000'0021, 0xFFFF'FFFF, 0x2000, 0x17'27FF, 0x34,
      0x8FF'0000'0000, 0xF01'0611'4141, 0x7F'0000'0016, 0xF7F9'FFFE'0400'6172, 0x7F'FFFF'0003'6DFB,
      0xFFFF'0000'11FB, 0}},
    {"corei7_haswell_4770",
     {0xD8'1000'0000'002B, 0x7F'0000'0016, 0xF7F9'FFFE'0401'E172, 0x7F'FFFF'0003'6DFF,
      0xFFFF'0000'11FF, 0x2004'01E0, 0x8000'0021, 0xFFFF'FFFF, 0x2000, 0x17'27FF, 0x34,
      0x4'7FFF'0000'0000, 0xF01'0633'4141, 0x7F'0000'0016, 0xF7F9'FFFE'0400'6172,
      0x7F'FFFF'0003'6DFB, 0xFFFF'0000'11FB, 0x1}},
    {"broadwell_ult",
     {0xD8'1000'0000'002B, 0x7F'0000'0016, 0xF7F9'FFFE'0401'E172, 0x7F'FFFF'0003'6DFF,
      0xFFFF'0000'11FF, 0x2004'01E0, 0x8000'0021, 0xFFFF'FFFF, 0x2000, 0x37'27FF, 0x34,
      0x5'7FFF'0000'0000, 0xF01'0633'4141, 0x7F'0000'0016, 0xF7F9'FFFE'0400'6172,
      0x7F'FFFF'0003'6DFB, 0xFFFF'0000'11FB, 0x1}},
    {"corei7_skylake_x",
     {0xD8'1000'0000'002B, 0x7F'0000'0016, 0xF7F9'FFFE'0401'E172, 0x7F'FFFF'0003'6DFF,
      0xFFFF'0000'11FF, 0x6004'01E0, 0x8000'0021, 0xFFFF'FFFF, 0x2000, 0x37'27FF, 0x34,
      0x217'7FFF'0000'0000, 0xF01'0633'4141, 0x7F'0000'0016, 0xF7F9'FFFE'0400'6172,
      0x7F'FFFF'0003'6DFB, 0xFFFF'0000'11FB, 0x1}},
    {"corei3_cnl",
     {0xD8'1000'0000'002B, 0x7F'0000'0016, 0xF7F9'FFFE'0401'E172, 0x7F'FFFF'0003'6DFF,
      0xFFFF'0000'11FF, 0x6004'01E0, 0x8000'0021, 0xFFFF'FFFF, 0x2000, 0x77'2FFF, 0x34,
      0x215'7CFF'0000'0000, 0xF01'0633'4141, 0x7F'0000'0016, 0xF7F9'FFFE'0400'6172,
      0x7F'FFFF'0003'6DFB, 0xFFFF'0000'11FB, 0x1}},
    {"corei7_icelake_u",
     {0xD8'1000'0000'0004, 0x7F'0000'0016, 0xFFF9'FFFE'0401'E172, 0x7F'FFFF'0003'6DFF,
      0xFFFF'0000'11FF, 0x6004'01E0, 0x8000'0021, 0xFFFF'FFFF, 0x2000, 0x77'2FFF, 0x34,
      0x297'7FFF'0000'0000, 0xF01'0633'4141, 0x7F'0000'0016, 0xFFF9'FFFE'0400'6172,
      0x7F'FFFF'0003'6DFB, 0xFFFF'0000'11FB, 0x1}},
    {"tigerlake",
     {0x1D8'1000'0000'0004, 0x7F'0000'0016, 0xFFF9'FFFE'0401'E172, 0x107F'FFFF'0003'6DFF,
      0x10'FFFF'0000'11FF, 0x6004'01E0, 0x8000'0021, 0xFFFF'FFFF, 0x2000, 0xF7'2FFF, 0x34,
      0x297'7FFF'0000'0000, 0xF01'06B3'4141, 0x7F'0000'0016, 0xFFF9'FFFE'0400'6172,
      0x107F'FFFF'0003'6DFB, 0x10'FFFF'0000'11FB, 0x1}},
    {"bx_generic",
     {0xD8'1000'0000'002B, 0x3F'0000'0016, 0xF7F9'FFFE'0401'E172, 0x3'EFFF'0003'6DFF,
      0x1FFF'0000'11FF, 0x4'01E0, 0x8000'0021, 0xFFFF'FFFF, 0x2000, 0x27FF, 0x34, 0x49'0000'0000, 0,
      0x3F'0000'0016, 0xF7F9'FFFE'0400'6172, 0x3'EFFF'0003'6DFB, 0x1FFF'0000'11FB, 0}},
});

}  // namespace

std::optional<ModelProcessor> ModelProcessor::of(std::string_view model) {
    const auto* const found = std::ranges::find(models, model, &ModelMsrs::name);
    return found == models.end() ? std::nullopt : std::optional{ModelProcessor{found->values}};
}

std::vector<std::string> ModelProcessor::names() {
    std::vector<std::string> all;
    for (const ModelMsrs& model : models) {
        all.emplace_back(model.name);
    }
    return all;
}

std::optional<std::uint64_t> ModelProcessor::msr(arch::Msr index) const {
    const std::size_t place = static_cast<std::size_t>(index) - first_msr;
    if (place >= values_.size() || values_[place] == 0) {
        return std::nullopt;
    }
    return values_[place];
}

std::optional<std::uint64_t> ModelProcessor::fact(Fact fact) const {
    switch (fact) {
        case Fact::physical_address_bits:
            return 40;
        case Fact::linear_address_bits:
            return 48;
        case Fact::has_intel_64:
            return 1;
        case Fact::has_sgx:
        case Fact::has_rtm:
            return 0;
        case Fact::perf_global_ctrl_mask:
        case Fact::nmi_under_sti_refused:
        case Fact::in_smm:
        case Fact::in_ia32e_mode:
        case Fact::outside_64_bit_mode:
        case Fact::privilege_level:
        case Fact::has_current_vmcs:
        case Fact::current_vmcs_is_shadow:
        case Fact::current_vmcs_pointer:
        case Fact::blocking_by_mov_ss:
        case Fact::by_vmresume:
        case Fact::is_launched:
            return std::nullopt;
    }
    return std::nullopt;
}

}  // namespace hvp::tool
