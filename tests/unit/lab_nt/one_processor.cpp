// What the kernel's locks ask of the rest of the kernel, on a host with one processor.
#include "lab/nt/ke/current_processor.hpp"
#include "lab/nt/ke/ipi.hpp"

namespace hvp::lab::ke {

std::uint32_t current_processor_number() {
    return 0;
}

void serve_requests() {}

}  // namespace hvp::lab::ke
