// Bochs ends when it reads the word "Shutdown" on port 8900h.
#include "lab/nt/hal/shutdown.hpp"

#include <string_view>

#include "hypervisor/arch/instructions.hpp"

namespace hvp::lab::hal {

void shut_down() {
    constexpr std::uint16_t shutdown_port = 0x8900;
    constexpr std::string_view word = "Shutdown";
    arch::out8(shutdown_port, word.data(), word.size());
    for (;;) {
        arch::cli();
        arch::hlt();
    }
}

}  // namespace hvp::lab::hal
