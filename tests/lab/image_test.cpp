// launch.sys as a file: small, well-formed, and the same wherever it was built.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <regex>
#include <span>

#include "hypervisor/vmcs/names/rule_texts.hpp"
#include "lab/nt/ldr/pe.hpp"
#include "lab/nt/ldr/pe_tables.hpp"
#include "tests/lab/places.hpp"
#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

namespace pe = lab::pe;

const std::string launch_path = (drivers_folder() / "launch.sys").string();

/// launch.sys, its headers, and how it lies in memory.
struct Launch {
    std::string file = content(launch_path);
    pe::Headers headers;
    std::vector<std::byte> memory;

    Launch() {
        const auto parsed = pe::parse(std::as_bytes(std::span{file}));
        if (parsed) {
            headers = *parsed;
            memory.resize(headers.image_bytes);
            pe::lay_out(headers, memory);
        }
    }
};

TEST(LaunchImage, IsUnder16Kilobytes) {
    const Launch launch;
    EXPECT_GT(launch.file.size(), 4096U);
    EXPECT_LT(launch.file.size(), 16U * 1024);
}

// Memory integrity (HVCI) refuses an image that could change its own code.
TEST(LaunchImage, HasNoSectionThatIsWritableAndExecutable) {
    const Launch launch;
    ASSERT_GT(launch.headers.section_count, 0);
    for (std::size_t i = 0; i < launch.headers.section_count; ++i) {
        const pe::Section section = launch.headers.section(i);
        EXPECT_FALSE(section.writable() && section.executable()) << section.name();
    }
}

// Each of these has a page in Microsoft's documentation.
TEST(LaunchImage, ImportsDocumentedFunctionsOnly) {
    const Launch launch;
    pe::ImportReader reader{launch.headers, launch.memory};
    std::vector<std::string> names;
    while (reader.next()) {
        EXPECT_EQ(reader.current().module, "ntoskrnl.exe");
        names.emplace_back(reader.current().name);
    }
    EXPECT_FALSE(reader.refusal());
    EXPECT_THAT(names, testing::UnorderedElementsAre(
                           "DbgPrintEx", "EtwRegister", "EtwSetInformation", "EtwUnregister",
                           "EtwWriteTransfer", "KeGetCurrentProcessorNumberEx",
                           "KeRevertToUserGroupAffinityThread", "KeSetSystemGroupAffinityThread",
                           "MmAllocateContiguousNodeMemory", "MmFreeContiguousMemory",
                           "MmGetPhysicalAddress"));
}

/// The file with `value` at `offset`.
template <typename T>
std::string changed(std::string file, std::size_t offset, T value) {
    std::memcpy(file.data() + offset, &value, sizeof(T));
    return file;
}

TEST(OddImage, ASectionThatIsWritableAndExecutableIsAFinding) {
    const Launch launch;
    constexpr std::size_t characteristics = 36;  // in a line of the section table
    constexpr std::uint32_t all_rights = 0xE000'0020;
    Playground playground;
    const auto driver = playground.write(
        "wx.sys",
        changed(launch.file, launch.headers.section_table_offset + characteristics, all_rights));
    const Answer answer = playground({"run", "--driver", driver});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, testing::HasSubstr("writable and executable"));
}

TEST(OddImage, AnImportByOrdinalIsRefused) {
    const Launch launch;
    // The first entry of the import name table: the RVA of a hint and a name; bit 63 would make it
    // an ordinal.
    const auto descriptor = launch.headers.directory(pe::DirectoryIndex::imports).address;
    const auto names = pe::read<std::uint32_t>(launch.memory, descriptor);
    ASSERT_TRUE(names);
    std::size_t offset = 0;
    for (std::size_t i = 0; i < launch.headers.section_count; ++i) {
        const pe::Section section = launch.headers.section(i);
        if (*names >= section.virtual_address &&
            *names < section.virtual_address + section.raw_size) {
            offset = *names - section.virtual_address + section.raw_offset;
        }
    }
    ASSERT_NE(offset, 0U);
    Playground playground;
    const auto driver = playground.write(
        "ordinal.sys", changed(launch.file, offset, std::uint64_t{0x8000'0000'0000'0005}));
    const Answer answer = playground({"run", "--driver", driver});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, testing::HasSubstr("by ordinal"));
}

/// What llvm-symbolizer says about an address, relative to the image's base.
std::string symbol_at(std::uint64_t address) {
    std::array<char, 32> number{};
    std::snprintf(number.data(), number.size(), "0x%llx", static_cast<unsigned long long>(address));
    const std::string command = "llvm-symbolizer-19 --relative-address --obj='" + launch_path +
                                "' " + number.data() + " 2>&1";
    std::string answer;
    if (FILE* const pipe = popen(command.c_str(), "r")) {
        std::array<char, 256> buffer{};
        while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) {
            answer += buffer.data();
        }
        pclose(pipe);
    }
    return answer;
}

// The rules of VM entry are the tool's: a driver reports fields, and has no part of the table.
TEST(LaunchImage, HasNoPartOfTheRulesOfVmEntry) {
    const Launch launch;
    for (const vmx::checks::EntryRule& rule : vmx::checks::all_rules) {
        const vmx::checks::RuleText& text_of_rule = text_of(rule);
        for (const std::string_view text : {rule.id, text_of_rule.sentence, text_of_rule.remedy}) {
            EXPECT_THAT(launch.file, testing::Not(testing::HasSubstr(text)));
        }
    }
    const std::string symbols = content(drivers_folder() / "launch.pdb");
    EXPECT_THAT(symbols, testing::HasSubstr("DriverEntry"));
    EXPECT_THAT(symbols, testing::Not(testing::HasSubstr("entry_checks")));
}

// The HLT at which the guest stopped is in the guest's function, by name and by file.
TEST(LaunchImage, HasAPdbThatNamesTheGuest) {
    Playground playground;
    ASSERT_EQ(playground({"run", "launch"}).status, 0);
    const auto base = playground.events("ImageLoaded").at(0).at("base").get<std::string>();
    std::string rip;
    for (const Json& exit : playground.events("VmExit")) {
        rip = exit.value("guest_rip", rip);
    }
    ASSERT_FALSE(rip.empty());
    const std::uint64_t address = std::stoull(rip, nullptr, 16) - std::stoull(base, nullptr, 16);
    EXPECT_THAT(symbol_at(address), testing::HasSubstr("hello_from_the_guest"));
    EXPECT_THAT(symbol_at(address), testing::HasSubstr("driver.cpp"));
}

}  // namespace
}  // namespace hvp::tests
