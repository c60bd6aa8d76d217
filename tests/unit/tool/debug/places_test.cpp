// The places of a debugging session: as people write them, and as a PDB has them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tool/debug/stop_at.hpp"
#include "tool/debug/symbols.hpp"

namespace hvp::tool {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(StopAt, IsATickAnExitAnEntryOrAFunction) {
    using Kind = StopAt::Kind;
    EXPECT_EQ(read_stop_at("tick:458914"), (StopAt{.kind = Kind::tick, .number = 458914}));
    EXPECT_EQ(read_stop_at("exit:3"), (StopAt{.kind = Kind::exit_number, .number = 3}));
    EXPECT_EQ(read_stop_at("entry:2"), (StopAt{.kind = Kind::entry_number, .number = 2}));
    EXPECT_EQ(read_stop_at("exit:EPT violation"),
              (StopAt{.kind = Kind::exit_reason, .name = "EPT violation"}));
    for (const char* name : {"guest_main", "hvp::arch::hlt", "DriverEntry"}) {
        EXPECT_EQ(read_stop_at(name), (StopAt{.kind = Kind::function, .name = name}));
    }
}

TEST(StopAt, NothingElseIsAPlace) {
    for (const char* text : {"", "exit:", "exit:3x4", "tick:", "tick:0x10", "tick:-1", "entry:two",
                             "page:7", "17", "exit:99999999999999999999", "a b"}) {
        const auto at = read_stop_at(text);
        if (std::string_view{text} == "exit:3x4") {
            EXPECT_TRUE(at.has_value());  // a word, which no reason is
            continue;
        }
        ASSERT_FALSE(at.has_value()) << text;
        EXPECT_THAT(at.error(), HasSubstr("this is no place; write exit:3"));
    }
    EXPECT_THAT(read_stop_at("exit:0").error(), HasSubstr("count from 1"));
}

constexpr std::string_view dump =
    "     192 | S_PUB32 [size = 84] `hvp_vm_exit`\n"
    "           flags = function, addr = 0001:6865\n"
    "   18024 | S_LPROC32 [size = 84] `launch::`anonymous namespace'::hello`\n"
    "           parent = 0, end = 18388, addr = 0001:3462, code size = 77\n"
    "   18100 | S_GPROC32 [size = 84] `other::hello`\n"
    "           parent = 0, end = 18388, addr = 0002:16, code size = 7\n"
    "     196 | S_PUB32 [size = 84] `other::hello`\n"
    "           flags = function, addr = 0002:16\n"
    "    1000 virtual address\n"
    "    3000 virtual address\n";

TEST(Symbols, AreFoundWithOrWithoutTheirNamespaces) {
    EXPECT_THAT(functions_named("hvp_vm_exit", dump), ElementsAre(0x1000 + 6865));
    EXPECT_THAT(functions_named("hello", dump), ElementsAre(0x1000 + 3462, 0x3010));
    EXPECT_THAT(functions_named("other::hello", dump), ElementsAre(0x3010));
    EXPECT_THAT(functions_named("ello", dump), IsEmpty());
    EXPECT_THAT(functions_named("hello", ""), IsEmpty());
}

}  // namespace
}  // namespace hvp::tool
