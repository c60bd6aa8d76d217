// Sends events through the emulator's debug port.
#include "lab/nt/dbg/event.hpp"

#include <array>
#include <span>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/ke/current_processor.hpp"

namespace hvp::lab::dbg {
namespace {

constexpr std::uint16_t debug_port = 0xE9;

// Not on the stack: a driver's print must not use up the driver's 24 KiB stack.
constinit std::array<char, 16384> buffer{};
constinit rtl::TextWriter writer{buffer};
constinit ke::Lock output{};

}  // namespace

Event::Event(std::string_view name, From from) : locked_{output}, line_{writer} {
    writer.clear();
    line_.begin();
    line_.number("t", arch::rdtsc());
    line_.number("cpu", ke::current_processor_number());
    line_.text("from", from == From::lab ? "lab" : "driver");
    line_.text("event", name);
}

Event::~Event() {
    line_.end();
    // One instruction, and the lock: lines of two processors never mix.
    arch::out8(debug_port, writer.view().data(), writer.view().size());
}

void take_over_output() {
    constexpr std::uint64_t patience = 1'000'000;
    output.acquire_or_break(patience);
}

Event& Event::number(std::string_view name, std::uint64_t value) {
    line_.number(name, value);
    return *this;
}

Event& Event::text(std::string_view name, std::string_view value) {
    line_.text(name, value);
    return *this;
}

Event& Event::boolean(std::string_view name, bool value) {
    line_.boolean(name, value);
    return *this;
}

Event& Event::hex(std::string_view name, std::uint64_t value, unsigned digits) {
    line_.hex(name, value, digits);
    return *this;
}

}  // namespace hvp::lab::dbg
