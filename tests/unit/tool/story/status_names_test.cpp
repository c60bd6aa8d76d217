// Every NTSTATUS that the tool names has the name that Microsoft's header gives it.
#include <gtest/gtest.h>

#include <regex>
#include <string>

#include "tool/base/files.hpp"
#include "tool/story/sentences.hpp"

namespace hvp::tool {
namespace {

// mingw-w64's, with which the drivers are built.
constexpr const char* header = "/usr/share/mingw-w64/include/ntstatus.h";

TEST(StatusNames, AreThoseOfTheHeader) {
    const auto text = read_text(header);
    ASSERT_TRUE(text) << text.error();
    ASSERT_FALSE(status_names().empty());
    for (const StatusName& status : status_names()) {
        const std::regex definition{"#define " + std::string{status.name} +
                                    R"re(\s+\(\(NTSTATUS\)0x([0-9A-Fa-f]{8}))re"};
        std::smatch found;
        if (status.name.starts_with("STATUS_HV_")) {
            continue;  // the header has none of these; see below
        }
        if (!std::regex_search(*text, found, definition)) {
            ADD_FAILURE() << status.name << " is not in " << header;
            continue;
        }
        EXPECT_EQ(status_name("0x" + found[1].str()), status.name);
    }
}

// The hypervisor's own.  [Windows: NTSTATUS Values]
TEST(StatusNames, TellsHypervisorStatusesApart) {
    EXPECT_EQ(status_name("0xC0351000"), "STATUS_HV_NOT_PRESENT");
    EXPECT_EQ(status_name("0xc0350002"), "STATUS_HV_INVALID_HYPERCALL_CODE");
    EXPECT_EQ(status_name("0xc035001e"), "STATUS_HV_FEATURE_UNAVAILABLE");
    EXPECT_EQ(status_name("0xc0000bad"), "0xc0000bad");
}

}  // namespace
}  // namespace hvp::tool
