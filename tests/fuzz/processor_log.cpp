// Any bytes as the emulator's log: the events do not depend on how the bytes are split into reads.
#include "lab/machine/processor_log.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/fuzz/require.hpp"

namespace hvp::fuzz {
namespace {

struct Reading {
    std::vector<lab::ProcessorEvent> events;
    std::string lines;
    std::string emulator;
    std::string panic;
    std::uint64_t last_tick = 0;
    friend bool operator==(const Reading&, const Reading&) = default;
};

Reading read_in_pieces(std::string_view bytes, std::size_t piece) {
    Reading reading;
    lab::ProcessorLog log{
        {.event = [&](const lab::ProcessorEvent& event) { reading.events.push_back(event); },
         .vmx_line = [&](std::string_view line) { (reading.lines += line) += '\n'; }}};
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        log.feed(bytes.substr(at, piece));
    }
    log.finish();
    reading.emulator = log.emulator();
    reading.panic = log.panic();
    reading.last_tick = log.last_tick();
    return reading;
}

}  // namespace
}  // namespace hvp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hvp::fuzz;
    const std::string_view bytes{reinterpret_cast<const char*>(data), size};
    const Reading whole = read_in_pieces(bytes, size + 1);
    require(whole == read_in_pieces(bytes, 7));
    for (const auto& event : whole.events) {
        require(event.cpu < hvp::lab::ProcessorLog::most_processors);
    }
    return 0;
}
