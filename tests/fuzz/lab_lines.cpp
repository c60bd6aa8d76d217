// Any bytes on the console: lines of the lab, of drivers, of the emulator, and others.
#include "tool/record/lab_lines.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lab/machine/console.hpp"
#include "tests/fuzz/require.hpp"

namespace hvp::fuzz {
namespace {

// A line written to events.jsonl must be readable again.
void check(const tool::Event& event) {
    require(!event.name.empty());
    require(event.from == "lab" || event.from == "driver");
    require(tool::Json::accept(tool::json_line(event)));
    for (const auto& [key, value] : event.fields.items()) {
        static_cast<void>(event.text(key));
        static_cast<void>(event.number(key));
    }
}

void on_lab_line(std::string_view line) {
    if (const auto events = tool::read_lab_line(line)) {
        for (const tool::Event& event : *events) {
            check(event);
        }
    }
}

void on_text(std::string_view text) {
    constexpr std::uint64_t printed_at = 1000;
    if (const auto event = tool::read_driver_text(text, printed_at)) {
        require(event->t <= printed_at);
        check(*event);
    }
}

}  // namespace
}  // namespace hvp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hvp;
    const std::string_view bytes{reinterpret_cast<const char*>(data), size};
    lab::Console console{{.lab = fuzz::on_lab_line, .other = fuzz::on_text}};
    console.feed(bytes);
    console.finish();
    fuzz::on_text(bytes);
    return 0;
}
