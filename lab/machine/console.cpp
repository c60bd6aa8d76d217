#include "lab/machine/console.hpp"

namespace hvp::lab {
namespace {

constexpr std::string_view lab_line_start = "{\"t\":";

// A driver that prints without end must not fill the host's memory.
constexpr std::size_t longest_line = 1 << 20;

}  // namespace

void Console::feed(std::string_view bytes) {
    for (const char byte : bytes) {
        if (byte == '\n') {
            end_line();
        } else if (byte != '\r' && line_.size() < longest_line) {
            line_ += byte;
        }
    }
}

void Console::finish() {
    if (!line_.empty()) {
        end_line();
    }
}

void Console::end_line() {
    // The emulator may have written a message without a line end before the lab's line.
    const std::string_view line = line_;
    const std::size_t start = line.find(lab_line_start);
    if (start == std::string_view::npos) {
        sinks_.other(line);
    } else {
        if (start > 0) {
            sinks_.other(line.substr(0, start));
        }
        sinks_.lab(line.substr(start));
    }
    line_.clear();
}

}  // namespace hvp::lab
