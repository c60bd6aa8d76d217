// The stage ept-identity with an exit that nobody handles, while its guest waits for the clock.
//
// stages/ept-identity/driver.cpp is compiled once more, with `vpid` replaced by what is here.
#include <cstdint>
#include <expected>

#include "tests/drivers/preemption_timer.hpp"

namespace hvp::vmx {

Feature vpid_and_a_timer(std::uint16_t number) {
    return {.add = [](Session& session, std::uint64_t parameter) -> std::expected<void, Failure> {
                constexpr std::uint32_t soon = 300;
                if (const auto added = tests::add_preemption_timer(soon); !added) {
                    return added;
                }
                const Feature tag = vpid(static_cast<std::uint16_t>(parameter));
                return tag.add(session, tag.parameter);
            },
            .parameter = number};
}

}  // namespace hvp::vmx
