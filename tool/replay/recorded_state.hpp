// What a guest's VMCS and registers held at a VM entry or a VM exit: a line of `vmcs.jsonl`.
//
// The first line has all; each later one has what changed since the line before. See
// docs/recording.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hvp::tool {

/// The registers that a state has: RSP, RIP and RFLAGS of the guest are fields of the VMCS.
inline constexpr std::array recorded_registers{"rax", "rbx", "rcx", "rdx", "rsi",
                                               "rdi", "rbp", "r8",  "r9",  "r10",
                                               "r11", "r12", "r13", "r14", "r15"};

/// One moment: an entry just before VMLAUNCH or VMRESUME, an exit just before the VMM's first
/// instruction.
struct RecordedState {
    enum class Moment : std::uint8_t { entry, failed_entry, exit };

    Moment moment{};
    std::uint64_t number = 0;  ///< from 1, of this processor's entries or exits
    unsigned cpu = 0;
    std::uint64_t t = 0;                             ///< the instruction's tick
    std::uint64_t vmcs = 0;                          ///< its physical address
    std::map<std::uint32_t, std::uint64_t> fields;   ///< by encoding
    std::map<std::string, std::uint64_t> registers;  ///< general ones, as the guest has them
    /// The instruction at the guest's RIP, as the guest reads it; of an exit, where it can be read.
    std::string instruction{};
    std::string place{};  ///< of the guest's RIP: module and offset, function and line if known

    friend bool operator==(const RecordedState&, const RecordedState&) = default;
};

/// Returns  "entry", "failed entry" or "exit"
[[nodiscard]] std::string_view word_of(RecordedState::Moment moment);

/// Returns  the content of vmcs.jsonl
[[nodiscard]] std::string write_states(std::span<const RecordedState> states);

/// Reads it, and makes each state whole again.
///
/// Returns  else the number of the line that cannot be read, and why
[[nodiscard]] std::expected<std::vector<RecordedState>, std::string> read_states(
    std::string_view text);

}  // namespace hvp::tool
