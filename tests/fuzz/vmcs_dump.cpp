// Any text as a dump of a VMCS: it is read and explained, and what was read can be written and read
// again.
#include "tool/explain/vmcs_dump.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/require.hpp"
#include "tool/explain/explanation.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hvp;
    static const auto model = *tool::ModelProcessor::of("corei7_skylake_x");
    tool::VmcsImage image =
        tool::read_dump(std::string_view{reinterpret_cast<const char*>(data), size});
    const tool::Judged judged{image, model};
    const tool::Explanation explanation = tool::explain_image(image, judged);
    fuzz::require(!tool::explanation_text(image, judged, explanation, {.model = "model"}).empty());
    fuzz::require(tool::explanation_json(image, judged, explanation).contains("broken"));
    image.unknown.clear();
    fuzz::require(tool::read_dump(tool::write_dump(image)) == image);
    return 0;
}
