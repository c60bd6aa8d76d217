// The GUID of an event provider.
//
// Tools find a provider by its GUID. TraceLogging makes it from the provider's name, so it need not
// be registered anywhere: tracelog and WPR take `*HVPlayground`. It is the first 16 bytes of the
// SHA-1 of a name space and of the name in capitals, with version 5 in its place; a test computes
// it again for each provider of ours.  [Windows: TRACELOGGING_DEFINE_PROVIDER]
#pragma once

#include <array>
#include <cstdint>

namespace hvp::trace {

/// [Windows: GUID structure] The first three parts are numbers, low byte first.
struct Guid {
    std::uint32_t data1{};
    std::uint16_t data2{};
    std::uint16_t data3{};
    std::array<std::uint8_t, 8> data4{};

    friend constexpr bool operator==(const Guid&, const Guid&) = default;
};
static_assert(sizeof(Guid) == 16);

}  // namespace hvp::trace
