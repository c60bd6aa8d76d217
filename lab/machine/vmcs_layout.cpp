#include "lab/machine/vmcs_layout.hpp"

#include <array>
#include <bit>

namespace hvp::lab {

std::optional<std::uint64_t> vmcs_field(const DebuggerStop& stop, std::uint64_t vmcs,
                                        std::uint32_t encoding) {
    // By width: 16 bits, 64 bits, 32 bits, natural.
    constexpr std::array<unsigned, 4> bytes{2, 8, 4, 8};
    const auto offset = vmcs_offset(encoding);
    if (!offset) {
        return std::nullopt;
    }
    const auto value = stop.memory(vmcs + *offset, bytes[(encoding >> 13) & 3]);
    constexpr int rotated_by = 8;
    return value && is_kept_rotated(encoding) ? std::optional<std::uint64_t>{std::rotr(
                                                    static_cast<std::uint32_t>(*value), rotated_by)}
                                              : value;
}

}  // namespace hvp::lab
