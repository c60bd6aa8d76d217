// The kernel's life from top to bottom.
#include "lab/boot/boot_block.hpp"
#include "lab/nt/dbg/event.hpp"
#include "lab/nt/hal/shutdown.hpp"

namespace hvp::lab {

extern "C" [[noreturn]] void kernel_main(const BootBlock* given) {
    dbg::Event{"LabStarted"}
        .number("memory_mib", given->memory_bytes >> 20)
        .number("processors", given->processors)
        .number("started", 1);
    hal::shut_down();
}

}  // namespace hvp::lab
