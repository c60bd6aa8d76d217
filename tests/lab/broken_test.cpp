// Stages that are broken on purpose: each ends as the head of its mutation says.
//
// The drivers are built from tests/broken/*.mutation, the same changes that the chapters ask a
// reader to make. A head has lines `Exit: STATUS` and `Says: WORDS`; the words must be in the
// tool's output, on stdout or stderr. Those of a line `Never: WORDS` must not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "hypervisor/vmcs/controls.hpp"
#include "tests/lab/places.hpp"
#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

namespace fs = std::filesystem;

struct Mistake {
    std::string name;
    int exit_status = -1;
    std::vector<std::string> says;
    std::vector<std::string> never;
};

/// The name that GoogleTest prints, instead of the object's bytes.
void PrintTo(const Mistake& mistake, std::ostream* out) {
    *out << mistake.name;
}

Mistake read_mistake(const fs::path& file) {
    Mistake mistake;
    mistake.name = file.stem().string();
    std::istringstream lines{content(file)};
    for (std::string line; std::getline(lines, line) && !line.starts_with("File: ");) {
        if (line.starts_with("Exit: ")) {
            mistake.exit_status = std::stoi(line.substr(6));
        } else if (line.starts_with("Says: ")) {
            mistake.says.push_back(line.substr(6));
        } else if (line.starts_with("Never: ")) {
            mistake.never.push_back(line.substr(7));
        }
    }
    return mistake;
}

std::vector<Mistake> all_mistakes() {
    std::vector<Mistake> mistakes;
    for (const auto& entry : fs::directory_iterator{source_folder() / "tests/broken"}) {
        if (entry.path().extension() == ".mutation") {
            mistakes.push_back(read_mistake(entry.path()));
        }
    }
    std::ranges::sort(mistakes, {}, &Mistake::name);
    return mistakes;
}

class BrokenLaunch : public testing::TestWithParam<Mistake> {};

TEST_P(BrokenLaunch, EndsAsItsMutationSays) {
    const Mistake& mistake = GetParam();
    ASSERT_GE(mistake.exit_status, 0) << "the mutation has no line Exit:";
    ASSERT_FALSE(mistake.says.empty()) << "the mutation has no line Says:";

    Playground playground;
    const std::string driver = drivers_folder() / ("broken-" + mistake.name + ".sys");
    const Answer answer = playground({"run", "--driver", driver});
    EXPECT_EQ(answer.status, mistake.exit_status) << answer.output << answer.errors;
    for (const std::string& words : mistake.says) {
        EXPECT_THAT(answer.output + answer.errors, testing::HasSubstr(words));
    }
    for (const std::string& words : mistake.never) {
        EXPECT_THAT(answer.output + answer.errors, testing::Not(testing::HasSubstr(words)));
    }
    EXPECT_THAT(answer.errors, testing::StartsWith("broken-" + mistake.name + ": "));
}

/// What the driver read from this field after its VM entry had failed.
std::uint64_t field_after_failed_entry(const Playground& playground, const std::string& encoding) {
    const Json fields = playground.events("VmcsFields").at(0)["fields"];
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        if (fields[i] == encoding) {
            return std::stoull(fields[i + 1].get<std::string>(), nullptr, 0);
        }
    }
    throw std::out_of_range{"no field " + encoding};
}

TEST(BrokenLaunchControls, GiveTheGuestTheInstructionsThatCpuidTellsOf) {
    Playground playground;
    const Answer answer =
        playground({"run", "--driver", drivers_folder() / "broken-guest-rflags-bit-1-clear.sys"});
    ASSERT_EQ(answer.status, 1) << answer.errors;
    const auto secondary = arch::Flags<vmx::SecondaryControl>{
        static_cast<std::uint32_t>(field_after_failed_entry(playground, "0x401e"))};
    EXPECT_EQ(secondary, vmx::SecondaryControl::enable_rdtscp |
                             vmx::SecondaryControl::enable_invpcid |
                             vmx::SecondaryControl::enable_xsaves);
}

INSTANTIATE_TEST_SUITE_P(, BrokenLaunch, testing::ValuesIn(all_mistakes()), [](const auto& info) {
    std::string name = info.param.name;
    std::ranges::replace(name, '-', '_');
    return name;
});

}  // namespace
}  // namespace hvp::tests
