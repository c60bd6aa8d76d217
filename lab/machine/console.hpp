// Splits what the emulator writes on its terminal into lines: the lab's, and the emulator's.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace hvp::lab {

/// Bytes in, lines out. The lab's lines are JSON objects; all others are the emulator's messages.
class Console {
public:
    struct Sinks {
        std::function<void(std::string_view line)> lab;    ///< begins with `{"t":`
        std::function<void(std::string_view line)> other;  ///< without its line end
    };

    explicit Console(Sinks sinks) : sinks_{std::move(sinks)} {}

    void feed(std::string_view bytes);
    /// The last line may lack its end.
    void finish();

private:
    void end_line();

    Sinks sinks_;
    std::string line_;
};

}  // namespace hvp::lab
