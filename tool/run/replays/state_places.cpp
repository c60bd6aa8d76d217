#include "tool/run/replays/state_places.hpp"

#include <algorithm>
#include <cstdint>

#include "hypervisor/vmcs/fields.hpp"

namespace hvp::tool {

void name_places(std::vector<RecordedState>& states, AddressNames names) {
    std::vector<std::uint64_t> addresses;
    for (const RecordedState& state : states) {
        const auto rip = state.fields.find(vmx::guest_rip.encoding);
        addresses.push_back(rip == state.fields.end() ? 0 : rip->second);
    }
    std::vector<std::uint64_t> different = addresses;
    std::ranges::sort(different);
    const auto repeated = std::ranges::unique(different);
    different.erase(repeated.begin(), repeated.end());
    names.find_symbols(different);
    for (std::size_t i = 0; i < states.size(); ++i) {
        // Outside of all images the name is the number itself.
        std::string place = names.in_full(addresses[i]);
        states[i].place = place.starts_with("0x") ? "" : std::move(place);
    }
}

}  // namespace hvp::tool
