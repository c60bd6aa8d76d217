// A VMCS as it lies in the emulated machine's memory, shown by the emulator's debugger in a replay.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "hypervisor/vmcs/fields.hpp"
#include "lab/machine/replay.hpp"
#include "lab/machine/vmcs_layout.hpp"

namespace hvp::tool {

/// A replay does what the run did, and nobody reads its log.
inline constexpr std::chrono::minutes longest_replay{2};

/// What each replay of one run has in common.
struct ReplayOfRun {
    std::filesystem::path work;  ///< the emulator's files
    int stop_descriptor = -1;
    std::chrono::milliseconds patience{0};

    [[nodiscard]] std::vector<lab::DebuggerStop> operator()(std::string commands) const {
        return lab::replay({.folder = work,
                            .commands = std::move(commands),
                            .stop_descriptor = stop_descriptor,
                            .patience = patience});
    }
};

/// Returns  the debugger's command that shows a whole VMCS.
[[nodiscard]] std::string show_vmcs(std::uint64_t vmcs);

/// The fields of one VMCS at one stop.
struct ReplayedVmcs {
    const lab::DebuggerStop& stop;
    std::uint64_t address;

    [[nodiscard]] std::optional<std::uint64_t> find(std::uint32_t encoding) const {
        return lab::vmcs_field(stop, address, encoding);
    }
    /// Returns  the field's value, 0 if the debugger did not show it
    template <typename Field>
    [[nodiscard]] std::uint64_t read(const Field&) const {
        return find(Field::encoding).value_or(0);
    }
};

}  // namespace hvp::tool
