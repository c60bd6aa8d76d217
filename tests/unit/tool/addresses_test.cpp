#include "tool/addresses.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

using testing::ElementsAre;

TEST(Symbols, AreReadBlockByBlock) {
    // As llvm-symbolizer 19 answers for three addresses; the second one was inlined.
    EXPECT_THAT(read_symbols("DriverEntry\nstages\\launch\\driver.cpp:72:0\n\n"
                             "vmxon\nhypervisor\\arch\\instructions.hpp:9:0\nlaunch\na.cpp:3:0\n\n"
                             "??\n??:0:0\n\n"),
                ElementsAre("DriverEntry, stages/launch/driver.cpp:72",
                            "vmxon, hypervisor/arch/instructions.hpp:9", ""));
    EXPECT_THAT(read_symbols(""), ElementsAre());
}

TEST(AddressNames, SayModuleAndOffset) {
    AddressNames names;
    names.add({.name = "launch.sys", .base = 0x1000, .bytes = 0x100, .file = {}});
    EXPECT_EQ(names.module_and_offset(0x1000), "launch.sys+0x0");
    EXPECT_EQ(names.module_and_offset(0x10FF), "launch.sys+0xff");
    EXPECT_EQ(names.module_and_offset(0x1100), "0x1100");
    EXPECT_EQ(names.module_and_offset(0xFFF), "0xfff");
}

TEST(AddressNames, TheLastImageAtAPlaceCounts) {
    AddressNames names;
    names.add({.name = "old.sys", .base = 0x1000, .bytes = 0x100, .file = {}});
    names.add({.name = "new.sys", .base = 0x1080, .bytes = 0x100, .file = {}});
    EXPECT_EQ(names.in_full(0x1080), "new.sys+0x0");
    EXPECT_EQ(names.in_full(0x1010), "old.sys+0x10");
}

}  // namespace
}  // namespace hvp::tool
