// Any text as a dump of a VMCS: it is read and explained, and what was read can be written and read
// again. It starts from the dumps of tests/cases, and libFuzzer cuts and mixes them.
#include "tool/explain/dumps/vmcs_dump.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/fuzz/require.hpp"
#include "tool/explain/explain.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hvp;
    static const auto model = *tool::ModelProcessor::of("corei7_skylake_x");
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    {
        tool::ExplainOptions options;
        options.json = size % 2 != 0;
        const tool::DumpReport report = tool::explain_dump(text, options, model, 100);
        fuzz::require(report.output.empty() != report.complaint.empty());
        fuzz::require((report.output + report.complaint).find('\x1b') == std::string::npos);
        // Success says something: a rule that was checked, or a VM entry that had worked.
        const bool is_success = report.status == tool::ExitStatus::passed;
        fuzz::require(!is_success || report.output.contains("checked"));
    }
    const tool::VmcsImage image = tool::read_dump(text);
    fuzz::require(tool::read_dump(tool::write_dump(image)) == image);
    return 0;
}
