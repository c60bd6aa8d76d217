// What the emulator's debugger writes when it stops the machine: the place, registers, memory.
// Pure, as the rest of what we read of it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hvp::lab {

/// One stop of the machine, with all that the debugger was asked there.
struct DebuggerStop {
    std::string why;  ///< "time breakpoint", "VMEXIT breakpoint", "write watch point at 0x…"
    std::uint64_t tick = 0;
    std::string instruction{};  ///< the next one, as the debugger writes it: "mov eax, ebx"
    /// By their names in the debugger's words: rax, r8, rip, eflags, cr3; "idtr base", "gdtr
    /// limit".
    std::map<std::string, std::uint64_t, std::less<>> registers;
    std::map<std::uint64_t, std::uint32_t> words;  ///< of physical memory, by address

    /// Returns  a register, if the debugger showed it
    [[nodiscard]] std::optional<std::uint64_t> find(std::string_view name) const;
    /// Returns  1 to 8 bytes of physical memory, if they lie in words that the debugger showed
    [[nodiscard]] std::optional<std::uint64_t> memory(std::uint64_t address, unsigned bytes) const;
};

/// Reads the answers to `regs`, `creg`, `sreg` and `xp /Nwx`, stop by stop.
[[nodiscard]] std::vector<DebuggerStop> read_stops(std::string_view console);

}  // namespace hvp::lab
