// Exceptions, as the emulator's log tells them: which one a processor raised, what it met when it
// wanted to deliver it, and which came of that. Pure, as the log's parser.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hvp::lab {

/// One exception or interrupt.
struct LoggedException {
    std::uint8_t vector = 0;
    bool is_interrupt = false;  ///< from outside, by INT n, or an NMI
    std::optional<std::uint16_t> error_code{};
    std::optional<std::uint64_t> address{};  ///< of a page fault
    std::string missing{};   ///< of a page fault: "PDE", the entry that is not present
    std::string obstacle{};  ///< why it could not be delivered, in the emulator's words

    friend bool operator==(const LoggedException&, const LoggedException&) = default;
};

/// An exception, and those that came of its delivery: all within one instruction.
struct ExceptionChain {
    std::uint64_t t = 0;  ///< the instruction's tick
    std::vector<LoggedException> exceptions{};

    friend bool operator==(const ExceptionChain&, const ExceptionChain&) = default;
};

/// Keeps the last chain of each processor. An interrupt is kept only where its delivery failed.
class ExceptionLog {
public:
    static constexpr unsigned most_processors = 8;

    /// One line of a processor, without its head. `is_error`: of the level "error".
    void line(std::uint64_t t, unsigned cpu, bool is_error, std::string_view text);

    /// Returns  the last chain with an exception, null if there was none
    [[nodiscard]] const ExceptionChain* last(unsigned cpu) const;
    /// Returns  the chain that ended in the last VM exit, null if that had another reason
    [[nodiscard]] const ExceptionChain* of_last_exit(unsigned cpu) const;

private:
    struct Processor {
        ExceptionChain now;   ///< of the instruction that is being executed
        ExceptionChain last;  ///< with an exception
        ExceptionChain of_exit;
        std::optional<std::uint64_t> page_fault_address;
        std::string missing;
    };

    static void begin(Processor& processor, std::uint64_t t);
    static void raise(Processor& processor, std::uint64_t t, LoggedException exception);
    static void deliver(Processor& processor, std::uint64_t t, std::string_view text);

    std::array<Processor, most_processors> processors_;
};

}  // namespace hvp::lab
