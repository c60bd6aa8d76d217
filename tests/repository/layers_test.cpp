// Which room may include which: arrows point down only, and the VMM knows no operating system.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

#include "tests/repository/sources.hpp"

namespace hvp::repository {
namespace {

struct Layer {
    std::string folder;
    std::vector<std::string> may_include;  ///< prefixes, in addition to its own folder
};

/// docs/architecture.md draws the same as a picture.
const std::vector<Layer> layers{
    {.folder = "hypervisor/arch/", .may_include = {}},
    {.folder = "hypervisor/trace/", .may_include = {}},
    {.folder = "hypervisor/ept/", .may_include = {"hypervisor/arch/"}},
    {.folder = "hypervisor/guest_memory/", .may_include = {"hypervisor/arch/", "hypervisor/ept/"}},
    {.folder = "hypervisor/vmcs/", .may_include = {"hypervisor/arch/", "hypervisor/ept/"}},
    {.folder = "hypervisor/vmx/",
     .may_include = {"hypervisor/arch/", "hypervisor/ept/", "hypervisor/vmcs/"}},
    {.folder = "hypervisor/vcpu/",
     .may_include = {"hypervisor/arch/", "hypervisor/ept/", "hypervisor/trace/", "hypervisor/vmcs/",
                     "hypervisor/vmx/"}},
    {.folder = "hypervisor/events/",
     .may_include = {"hypervisor/arch/", "hypervisor/vmcs/", "hypervisor/vcpu/"}},
    {.folder = "hypervisor/exits/",
     .may_include = {"hypervisor/arch/", "hypervisor/ept/", "hypervisor/trace/", "hypervisor/vmcs/",
                     "hypervisor/vmx/", "hypervisor/vcpu/", "hypervisor/events/"}},
    {.folder = "hypervisor/hooks/", .may_include = {"hypervisor/"}},
    {.folder = "platform/windows/", .may_include = {"hypervisor/"}},
    {.folder = "platform/", .may_include = {"hypervisor/"}},
    {.folder = "stages/", .may_include = {"hypervisor/", "platform/"}},
    {.folder = "lab/nt/", .may_include = {"hypervisor/arch/", "lab/boot/"}},
    {.folder = "lab/machine/", .may_include = {"lab/boot/", "lab/nt/ldr/pe", "lab/nt/hosted/"}},
    {.folder = "tool/",
     .may_include = {"lab/machine/", "lab/boot/", "lab/nt/ldr/pe", "lab/nt/hosted/",
                     "hypervisor/vmcs/", "hypervisor/ept/entry.hpp",
                     "hypervisor/ept/misconfiguration.hpp", "hypervisor/ept/violation.hpp",
                     "hypervisor/arch/msr.hpp"}},
};

/// The quoted includes of `file` that its layer does not allow.
std::vector<std::string> forbidden_includes(const SourceFile& file, const Layer& layer) {
    static const std::regex include{R"re(#include "([^"]+)")re"};
    std::vector<std::string> forbidden;
    for (std::sregex_iterator it{file.text.begin(), file.text.end(), include}, end; it != end;
         ++it) {
        const std::string target = (*it)[1].str();
        const bool allowed = target.starts_with(layer.folder) ||
                             std::ranges::any_of(layer.may_include, [&](const std::string& prefix) {
                                 return target.starts_with(prefix);
                             });
        if (!allowed) {
            forbidden.push_back(target);
        }
    }
    return forbidden;
}

TEST(Layers, ArrowsPointDownOnly) {
    for (const Layer& layer : layers) {
        const auto files = files_below({layer.folder}, {".hpp", ".cpp", ".S"});
        EXPECT_THAT(files, testing::Not(testing::IsEmpty())) << layer.folder;
        for (const SourceFile& file : files) {
            EXPECT_THAT(forbidden_includes(file, layer), testing::IsEmpty()) << file.path;
        }
    }
}

TEST(Layers, AreCheckedAgainstTheTable) {
    const SourceFile bad{.path = "hypervisor/arch/x.hpp",
                         .text = "#include \"hypervisor/vmcs/fields.hpp\"\n"};
    EXPECT_THAT(forbidden_includes(bad, layers.front()),
                testing::ElementsAre("hypervisor/vmcs/fields.hpp"));
}

// The VMM's sources include no header of an operating system, and only headers of the standard
// library that need none.
TEST(Layers, TheHypervisorIsFreestanding) {
    const std::regex system_include{R"(#include <([^>]+)>)"};
    const std::vector<std::string> freestanding{
        "algorithm", "array",       "bit",         "compare", "concepts", "cstddef",
        "cstdint",   "expected",    "limits",      "new",     "optional", "ranges",
        "span",      "string_view", "type_traits", "utility"};
    for (const SourceFile& file : files_below({"hypervisor"}, {".hpp", ".cpp"})) {
        for (std::sregex_iterator it{file.text.begin(), file.text.end(), system_include}, end;
             it != end; ++it) {
            EXPECT_THAT(freestanding, testing::Contains((*it)[1].str())) << file.path;
        }
    }
}

// All inline assembly of the VMM is in one header, and that of the stages' guests in another, so
// that a reader can trust every other file. Two files that stand in for the compiler's own memory
// functions are the exception.
TEST(Layers, InlineAssemblyHasOnePlace) {
    const std::vector<std::string> places{
        "hypervisor/arch/instructions.hpp", "stages/shared/probes.hpp",
        "hypervisor/arch/memory_functions.cpp", "lab/nt/rtl/memory.cpp"};
    const std::regex assembly{R"(\basm\s*(volatile)?\s*\()"};
    for (const SourceFile& file :
         files_below({"hypervisor", "platform", "stages", "lab/nt"}, {".hpp", ".cpp"})) {
        const bool allowed = std::ranges::find(places, file.path) != places.end();
        EXPECT_EQ(std::regex_search(file.text, assembly), allowed) << file.path;
    }
}

}  // namespace
}  // namespace hvp::repository
