// A VM entry that failed in a driver that reports nothing: the machine is run once more up to the
// VMLAUNCH or VMRESUME, and the emulator's debugger shows the VMCS there.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tool/explain/entry_failure.hpp"
#include "tool/record/timeline.hpp"
#include "tool/replay/replayed_vmcs.hpp"

namespace hvp::tool {

/// An attempt of VM entry, as the processor's log has it.
struct FailedEntry {
    std::uint64_t t = 0;
    std::uint64_t vmcs = 0;  ///< its physical address
    bool is_resume = false;
    std::string text;  ///< the processor's words

    friend bool operator==(const FailedEntry&, const FailedEntry&) = default;
};

/// Returns  the run's last VM entry that failed, by VMfail or by a VM exit
[[nodiscard]] std::optional<FailedEntry> last_failed_entry(const Timeline& timeline);

/// The driver of the run, where it lies in the machine and on this host.
struct DriverImage {
    std::filesystem::path file;
    std::uint64_t base = 0;
};

/// Returns  the explanation, with the instruction and the places that wrote the broken fields by the
///          driver's PDB; nothing when the replay did not get there
[[nodiscard]] std::optional<EntryFailure> explain_replayed_entry(const FailedEntry& failed,
                                                                 const ReplayOfRun& replay,
                                                                 const DriverImage& driver,
                                                                 const std::string& model,
                                                                 std::size_t width);

}  // namespace hvp::tool
