// Any bytes as a self-describing event: the decoder reports an error or writes JSON; it never reads
// beyond the bytes, and it terminates.
#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "lab/nt/etw/decoder.hpp"
#include "tests/fuzz/require.hpp"

namespace hvp::fuzz {
namespace {

namespace etw = lab::etw;

constexpr std::size_t line_bytes = 15 * 1024;  // what the kernel gives it

// The allocation ends where the event does, so that AddressSanitizer detects a read beyond it.
void read(etw::Bytes metadata, etw::Bytes data) {
    const std::vector<std::byte> own_metadata{metadata.begin(), metadata.end()};
    const std::vector<std::byte> own_data{data.begin(), data.end()};
    static std::array<char, line_bytes> buffer;
    lab::rtl::TextWriter writer{buffer};
    lab::dbg::JsonLine line{writer};
    line.open_object();
    const etw::Reading reading = etw::read_event(own_metadata, own_data, line);
    line.end_object();
    require(!reading.problem.empty() || !reading.event.empty());
    if (reading.problem.empty() && !writer.truncated()) {
        require(nlohmann::json::accept(writer.view()));
    }
}

}  // namespace
}  // namespace hvp::fuzz

// The metadata's own size says where the data begins. It is corrected first, because otherwise few
// inputs would reach the decoder; every fourth input keeps a wrong one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    using namespace hvp;
    constexpr std::size_t head = 3;
    if (size < head) {
        fuzz::read(std::as_bytes(std::span{input, size}), {});
        return 0;
    }
    std::vector<std::uint8_t> bytes{input + 1, input + size};
    const std::size_t metadata_bytes = (bytes[0] + 256U * bytes[1]) % (bytes.size() + 1);
    if (input[0] % 4 != 0) {
        bytes[0] = static_cast<std::uint8_t>(metadata_bytes & 0xFF);
        bytes[1] = static_cast<std::uint8_t>(metadata_bytes >> 8);
    }
    const lab::etw::Bytes all = std::as_bytes(std::span{bytes});
    fuzz::read(all.first(metadata_bytes), all.subspan(metadata_bytes));
    static_cast<void>(lab::etw::provider_name(all));
    return 0;
}
