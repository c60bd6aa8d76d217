// The list of instructions that may fault.
#include "lab/nt/hal/probe.hpp"

#include <bit>
#include <cstddef>

namespace hvp::lab::hal {
namespace {

extern "C" const std::byte probe_rdmsr_instruction[];
extern "C" const std::byte probe_wrmsr_instruction[];
extern "C" const std::byte probe_vmptrst_instruction[];
extern "C" const std::byte probe_failed[];

}  // namespace

bool is_probe(std::uint64_t rip) {
    const auto* at = std::bit_cast<const std::byte*>(rip);
    return at == probe_rdmsr_instruction || at == probe_wrmsr_instruction ||
           at == probe_vmptrst_instruction;
}

std::uint64_t probe_failure() {
    return std::bit_cast<std::uint64_t>(&probe_failed[0]);
}

}  // namespace hvp::lab::hal
