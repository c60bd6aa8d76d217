#include "lab/machine/exception_log.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace hvp::lab {
namespace {

// More are not of one chain: a third exception ends it.
constexpr std::size_t longest_chain = 8;

// Takes the hexadecimal number behind a mark.
template <typename T>
std::optional<T> number_behind(std::string_view text, std::string_view mark) {
    const std::size_t at = text.find(mark);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    text.remove_prefix(at + mark.size());
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return error == std::errc{} ? std::optional{value} : std::nullopt;
}

// `PAE PDE: entry not present`
std::string missing_entry(std::string_view text) {
    constexpr std::string_view end = ": entry not present";
    const std::string_view name = text.substr(0, text.find(end));
    return std::string{name.substr(std::min(name.rfind(' ') + 1, name.size()))};
}

bool has_exception(const ExceptionChain& chain) {
    return std::ranges::any_of(chain.exceptions,
                               [](const LoggedException& one) { return !one.is_interrupt; });
}

}  // namespace

void ExceptionLog::begin(Processor& processor, std::uint64_t t) {
    if (processor.now.t != t || processor.now.exceptions.size() >= longest_chain) {
        processor.now = {.t = t};
    }
}

void ExceptionLog::raise(Processor& processor, std::uint64_t t, LoggedException exception) {
    begin(processor, t);
    processor.now.exceptions.push_back(std::move(exception));
}

// `interrupt(): vector = 06, TYPE = 3, EXT = 1`: exceptions with an error code were told before.
void ExceptionLog::deliver(Processor& processor, std::uint64_t t, std::string_view text) {
    const auto vector = number_behind<std::uint8_t>(text, "vector = ");
    const auto type = number_behind<unsigned>(text, "TYPE = ");
    if (!vector || !type) {
        return;
    }
    constexpr unsigned hardware_exception = 3;
    constexpr unsigned software_interrupt = 4;
    begin(processor, t);
    auto& chain = processor.now.exceptions;
    if (chain.empty() || chain.back().vector != *vector || !chain.back().obstacle.empty()) {
        chain.push_back(
            {.vector = *vector,
             .is_interrupt = *type < hardware_exception || *type == software_interrupt});
    }
}

void ExceptionLog::line(std::uint64_t t, unsigned cpu, bool is_error, std::string_view text) {
    if (cpu >= most_processors) {
        return;
    }
    Processor& processor = processors_[cpu];
    if (text.ends_with(": entry not present")) {
        processor.missing = missing_entry(text);
    } else if (text.starts_with("page fault for address ")) {
        processor.page_fault_address = number_behind<std::uint64_t>(text, "address ");
    } else if (text.starts_with("exception(0x")) {
        const auto vector = number_behind<std::uint8_t>(text, "exception(0x");
        constexpr std::uint8_t page_fault = 14;
        if (vector) {
            const bool is_page_fault = *vector == page_fault;
            raise(processor, t,
                  {.vector = *vector,
                   .error_code = number_behind<std::uint16_t>(text, "error_code="),
                   .address = is_page_fault ? processor.page_fault_address : std::nullopt,
                   .missing = is_page_fault ? std::exchange(processor.missing, {}) : ""});
        }
    } else if (text.starts_with("VMEXIT reason = ")) {
        processor.of_exit =
            processor.now.t == t && has_exception(processor.now) ? processor.now : ExceptionChain{};
        return;
    } else if (text.starts_with("interrupt(): ")) {
        deliver(processor, t, text);
    } else if (is_error && processor.now.t == t && !processor.now.exceptions.empty() &&
               text.starts_with("interrupt(")) {
        // `interrupt(long mode): vector must be within IDT table limits, IDT.limit = 0x0`
        processor.now.exceptions.back().obstacle = text.substr(std::min(
            text.find(": ") == std::string_view::npos ? 0 : text.find(": ") + 2, text.size()));
    } else {
        return;
    }
    if (has_exception(processor.now)) {
        processor.last = processor.now;
    }
}

const ExceptionChain* ExceptionLog::of_last_exit(unsigned cpu) const {
    return cpu < most_processors && !processors_[cpu].of_exit.exceptions.empty()
               ? &processors_[cpu].of_exit
               : nullptr;
}

const ExceptionChain* ExceptionLog::last(unsigned cpu) const {
    return cpu < most_processors && !processors_[cpu].last.exceptions.empty()
               ? &processors_[cpu].last
               : nullptr;
}

}  // namespace hvp::lab
