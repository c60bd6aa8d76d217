// The VMX instructions in each mode of the processor, on every model: the driver vmx-modes compares
// a guest with the bare processor, and the table in docs/events-in-depth.md is what it
// found. HVP_WRITE_CHAPTER=1 writes the table again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <map>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "tests/lab/places.hpp"
#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

constexpr std::array models{"core2_penryn_t9600",
                            "corei5_lynnfield_750",
                            "corei5_arrandale_m520",
                            "corei7_sandy_bridge_2600k",
                            "corei7_ivy_bridge_3770k",
                            "corei7_haswell_4770",
                            "broadwell_ult",
                            "corei7_skylake_x",
                            "corei3_cnl",
                            "corei7_icelake_u",
                            "tigerlake"};

constexpr std::array modes{"64-bit mode, CPL 0",        "64-bit mode, CPL 3",
                           "compatibility mode, CPL 0", "compatibility mode, CPL 3",
                           "real-address mode",         "virtual-8086 mode"};
constexpr std::size_t long_modes = 4;

/// What one run has reported.
struct Findings {
    bool unrestricted = false;
    std::vector<std::string> probes;  ///< in their order
    std::map<std::pair<std::string, std::string>, Json> cells;

    [[nodiscard]] const Json& cell(const std::string& probe, const std::string& mode) const {
        return cells.at({probe, mode});
    }
};

Findings run(const std::string& model) {
    SCOPED_TRACE(model);
    Playground playground;
    const Answer answer =
        playground({"run", "--driver", playground.driver("vmx-modes", "vmx-modes"), "--model",
                    model, "--no-processor-log"});
    EXPECT_EQ(answer.status, 0) << answer.output << answer.errors;
    Findings findings;
    for (const Json& guest : playground.events("ModesGuest")) {
        findings.unrestricted = guest["unrestricted"] == 1;
        constexpr std::uint64_t vmx = 1U << 5;
        EXPECT_EQ(std::stoull(guest["cpuid_1_ecx"].get<std::string>(), nullptr, 0) & vmx, 0U);
        // In the second pass they must have caused VM exits.
        const int exits = guest["exception_exits"];
        EXPECT_TRUE(guest["intercepts"] == 1 ? exits >= 30 : exits == 0) << guest;
    }
    for (const Json& cell : playground.events("ModesCell")) {
        const std::string probe = cell["probe"];
        if (cell["mode"] == modes[0]) {
            findings.probes.push_back(probe);
        }
        findings.cells[{probe, cell["mode"]}] = cell;
    }
    return findings;
}

/// What the handler found, without address and guest.
Json found(const Json& cell) {
    Json found = cell;
    for (const char* const key : {"t", "cpu", "guest", "same", "exit", "after_vmxe"}) {
        found.erase(key);
    }
    return found;
}

std::string event_name(const Json& cell) {
    constexpr int end_of_snippet = 0xEE;
    const int vector = cell["vector"];
    std::string name = vector == 6                ? "#UD"
                       : vector == 13             ? "#GP"
                       : vector == end_of_snippet ? "no exception"
                                                  : "?";
    if (cell["has_error_code"] == 1) {
        name += "(" + std::to_string(std::stoi(cell["error_code"].get<std::string>(), nullptr, 0)) +
                ")";
    }
    if (cell["exit"] != 0) {
        name += ", exit " + cell["exit"].dump();
    }
    return cell["at_instruction"] == 1 || vector == end_of_snippet ? name : name + " elsewhere";
}

/// What the bytes that were pushed are.
std::string frame(const Json& cell) {
    switch (cell["pushed"].get<int>()) {
        case 40:
            return "RIP, CS, RFLAGS, RSP, SS";
        case 36:
            return "EIP, CS, EFLAGS, ESP, SS, ES, DS, FS, GS";
        case 6:
            return "IP, CS, FLAGS";
        default:
            return cell["pushed"].dump() + " bytes";
    }
}

template <typename Cell>
std::string row(const std::string& head, const Cell& cell) {
    std::string text = "| " + head;
    for (const char* const mode : modes) {
        text += " | " + std::string{cell(mode)};
    }
    return text + " |\n";
}

std::string table(const Findings& run) {
    std::string text = row("", [](const char* mode) { return mode; });
    text += row("---", [](const char*) { return "---"; });
    for (const std::string& probe : run.probes) {
        text += row(probe, [&](const char* mode) { return event_name(run.cell(probe, mode)); });
    }
    text += row("after MOV to CR4 with VMXE", [&](const char* mode) {
        return std::ranges::all_of(run.probes,
                                   [&](const std::string& probe) {
                                       return run.cell(probe, mode)["after_vmxe"] == 1;
                                   })
                   ? "the same"
                   : "not the same";
    });
    text += row("#UD pushes", [&](const char* mode) { return frame(run.cell("VMCALL", mode)); });
    return text + row("RF in the pushed flags", [&](const char* mode) {
               const Json& cell = run.cell("VMCALL", mode);
               return cell["pushed"] == 6 ? "(16 bits)" : cell["rf"] == 1 ? "1" : "0";
           });
}

std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        text += (text.empty() ? "`" : ", `") + name + "`";
    }
    return text;
}

/// Everything between the marks on that page.
std::string chapter_part() {
    std::vector<std::string> all;
    std::vector<std::string> without_low_modes;
    Findings first;
    for (const char* const model : models) {
        const Findings current = run(model);
        SCOPED_TRACE(model);
        if (current.unrestricted && first.cells.empty()) {
            first = current;
        }
        (current.unrestricted ? all : without_low_modes).emplace_back(model);
        EXPECT_EQ(current.probes.size(), 18U);
        for (const auto& [key, cell] : current.cells) {
            const bool is_long = std::ranges::find(modes, key.second) < modes.begin() + long_modes;
            EXPECT_EQ(cell["same"], 1) << cell;
            EXPECT_EQ(cell["guest"], is_long || current.unrestricted ? 1 : 0) << cell;
        }
    }
    // Models differ in which modes a guest can be in, and in nothing else.
    EXPECT_FALSE(first.cells.empty());
    return table(first) + "\nAll six as a guest: " + listed(all) +
           ".\nThe first four as a guest, as there is no unrestricted guest: " +
           listed(without_low_modes) + ".\n";
}

constexpr std::string_view begin_mark = "<!-- from a run: tests/lab/vmx_modes_test.cpp -->\n";
constexpr std::string_view end_mark = "<!-- until here -->\n";

TEST(VmxModes, TheChapterHasWhatTheRunsFind) {
    const auto path = source_folder() / "docs/events-in-depth.md";
    std::string chapter = content(path);
    const std::size_t begin = chapter.find(begin_mark);
    const std::size_t end = chapter.find(end_mark);
    ASSERT_NE(begin, std::string::npos);
    ASSERT_NE(end, std::string::npos);
    const std::size_t start = begin + begin_mark.size();
    const std::string part = chapter_part();
    if (std::getenv("HVP_WRITE_CHAPTER") != nullptr) {
        std::ofstream{path} << chapter.replace(start, end - start, part);
        return;
    }
    EXPECT_EQ(chapter.substr(start, end - start), part);
}

// One model without VT-x has all these modes: its outcomes on the bare processor are the expected
// ones. Its MSRs are not (docs/emulator.md): for them the manual is, "#GP(0) If the value in ECX
// specifies a reserved or unimplemented MSR address".
TEST(VmxModes, AGuestFindsWhatAProcessorWithoutVtXHas) {
    const Findings without = run("p4_prescott_celeron_336");
    const Findings guest = run("corei7_skylake_x");
    ASSERT_EQ(without.probes, guest.probes);
    for (const std::string& probe : without.probes) {
        for (const char* const mode : modes) {
            const Json& mine = guest.cell(probe, mode);
            EXPECT_EQ(mine["guest"], 1);
            if (probe == "RDMSR of 3AH" && mine["exit"] != 0) {
                // That MSR exists without VT-x, too. Its value: ExitTest.
                EXPECT_EQ(event_name(mine), "no exception, exit 31");
            } else if (probe.contains("MSR")) {
                EXPECT_EQ(mine["vector"], 13) << mine;
                EXPECT_EQ(mine["error_code"], "0x0") << mine;
                EXPECT_EQ(mine["at_instruction"], 1) << mine;
            } else {
                EXPECT_EQ(found(mine), found(without.cell(probe, mode)));
            }
        }
    }
}

}  // namespace
}  // namespace hvp::tests
