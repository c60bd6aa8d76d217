#include "tool/record/symbols/addresses.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

using testing::ElementsAre;

TEST(Symbols, AreReadBlockByBlock) {
    // As llvm-symbolizer 19 answers for three addresses; the second one was inlined.
    EXPECT_THAT(read_symbols("DriverEntry\nstages\\launch\\driver.cpp:72:0\n\n"
                             "view\n/usr/include/string_view:9:0\n`anonymous namespace'::launch\n"
                             "a.cpp:3:0\nmain\nb.cpp:4:0\n\n"
                             "??\n??:0:0\n\n"),
                ElementsAre(Symbol{"DriverEntry", "DriverEntry", "stages/launch/driver.cpp:72"},
                            Symbol{"launch", "main", "a.cpp:3"}, Symbol{}));
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

TEST(AddressNames, ExplainAddressesInATextAndNothingElse) {
    AddressNames names;
    names.add({.name = "ntoskrnl.exe", .base = 0xFFFFF80000000000, .bytes = 0x1000, .file = {}});
    names.add({.name = "a.sys", .base = 0xFFFFF801A5E50000, .bytes = 0x1000, .file = {}});
    EXPECT_EQ(names.explain("freed before by 0xfffff801a5e50123, tag 0x12, at 0xfffffa8000013f90"),
              "freed before by a.sys+0x123, tag 0x12, at 0xfffffa8000013f90");
    EXPECT_EQ(names.explain("0x"), "0x");
    EXPECT_TRUE(names.is_in_driver(0xFFFFF801A5E50123));
    EXPECT_FALSE(names.is_in_driver(0xFFFFF80000000123));
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
