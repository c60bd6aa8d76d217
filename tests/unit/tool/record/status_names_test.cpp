// The names of NTSTATUS values, held against the headers of mingw-w64.
#include "tool/record/words/status_names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <fstream>
#include <regex>
#include <sstream>

namespace hvp::tool {
namespace {

TEST(StatusNames, AreThoseOfTheHeaders) {
    std::ifstream file{"/usr/x86_64-w64-mingw32/include/ntstatus.h"};
    std::stringstream header;
    header << file.rdbuf();
    const std::string text = header.str();
    ASSERT_FALSE(text.empty());
    int compared = 0;
    for (const StatusName& one : status_names()) {
        const std::regex line{"#define " + std::string{one.name} +
                              R"(\s+\(\(NTSTATUS\)0x([0-9A-Fa-f]+)\))"};
        std::smatch found;
        if (std::regex_search(text, found, line)) {
            EXPECT_EQ(std::stoul(found[1], nullptr, 16), one.number) << one.name;
            ++compared;
        }
    }
    EXPECT_GE(compared, 12);
}

// The header has none of the hypervisor's.  [Windows: NTSTATUS Values]
TEST(StatusNames, HaveTheHypervisors) {
    EXPECT_EQ(status_name("0xc0351000"), "STATUS_HV_NOT_PRESENT");
    EXPECT_EQ(status_name("0xC0350002"), "STATUS_HV_INVALID_HYPERCALL_CODE");
    EXPECT_EQ(status_name("0xc035001e"), "STATUS_HV_FEATURE_UNAVAILABLE");
    EXPECT_EQ(status_name("0xc0359999"), "0xc0359999");
    EXPECT_EQ(status_name("nothing"), "nothing");
}

TEST(StatusNames, EachHaveAMeaning) {
    for (const StatusName& one : status_names()) {
        EXPECT_TRUE(one.name.starts_with("STATUS_")) << one.name;
        EXPECT_FALSE(one.meaning.empty()) << one.name;
        EXPECT_EQ(status_name(fmt::format("{:#010x}", one.number)), one.name);
    }
}

}  // namespace
}  // namespace hvp::tool
