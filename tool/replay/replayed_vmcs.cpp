#include "tool/replay/replayed_vmcs.hpp"

#include <fmt/format.h>

namespace hvp::tool {

std::string show_vmcs(std::uint64_t vmcs) {
    constexpr unsigned words = 1024;
    return fmt::format("xp /{}wx {:#x}\n", words, vmcs);
}

}  // namespace hvp::tool
