// The loaded images, by address.
#include "lab/nt/ldr/module.hpp"

#include <bit>

namespace hvp::lab::ldr {
namespace {

constinit Module kernel{};
constinit Module driver{};

}  // namespace

pe::Bytes Module::memory() const {
    return {std::bit_cast<const std::byte*>(base), headers.image_bytes};
}

Module& kernel_module() {
    return kernel;
}

Module& driver_module() {
    return driver;
}

const Module* module_at(std::uint64_t address) {
    for (const Module* module : {&kernel, &driver}) {
        if (module->loaded && module->holds(address)) {
            return module;
        }
    }
    return nullptr;
}

}  // namespace hvp::lab::ldr
