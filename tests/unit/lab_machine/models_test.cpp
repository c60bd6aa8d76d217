#include "lab/machine/models.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "lab/machine/configuration.hpp"

namespace hvp::lab {
namespace {

TEST(Models, AreThoseOfBochs27EachOnce) {
    std::set<std::string_view> names;
    for (const ModelFacts& model : all_models()) {
        EXPECT_TRUE(names.insert(model.name).second) << model.name;
    }
    EXPECT_EQ(names.size(), 28U);  // `bochs-bin --help cpu` lists so many
}

TEST(Models, SayWhichHaveVtX) {
    EXPECT_EQ(find_model("tigerlake")->kind, ModelKind::vt_x);
    EXPECT_EQ(find_model("core2_penryn_t9600")->kind, ModelKind::vt_x);
    EXPECT_EQ(find_model("ryzen")->kind, ModelKind::no_vt_x);
    EXPECT_EQ(find_model("p4_prescott_celeron_336")->kind, ModelKind::no_vt_x);
    // VT-x, but no 64-bit mode: not usable.
    EXPECT_EQ(find_model("core_duo_t2400_yonah")->kind, ModelKind::no_64_bit);
    EXPECT_FALSE(find_model("corei9"));
    EXPECT_EQ(find_model(default_model)->kind, ModelKind::vt_x);
}

TEST(Configuration, ReportsEveryProcessorAndUsesNoPort) {
    const std::string text = bochsrc({.model = "tigerlake",
                                      .processors = 3,
                                      .memory_mib = 4096,
                                      .rom_file = "rom.bin",
                                      .ram_image_file = "ram.img",
                                      .msrs_file = "msrs"});
    EXPECT_TRUE(text.contains("cpu: model=tigerlake, count=3,"));
    EXPECT_TRUE(text.contains(", cpu0=report, cpu1=report, cpu2=report\n"));
    EXPECT_TRUE(text.contains("memory: guest=4096, host=2048\n"));
    EXPECT_TRUE(text.contains("ignore_bad_msrs=0"));
    EXPECT_TRUE(text.contains("optramimage1: file=ram.img, address=0x200000\n"));
    EXPECT_FALSE(text.contains("rfb"));  // it would listen on every interface
}

TEST(Configuration, TheScriptEndsWithALineEnd) {
    // Bochs drops a last command without one.
    EXPECT_EQ(debugger_script({.model = {},
                               .timeout_ticks = 5,
                               .rom_file = {},
                               .ram_image_file = {},
                               .msrs_file = {}}),
              "sba 5\nc\n");
}

}  // namespace
}  // namespace hvp::lab
