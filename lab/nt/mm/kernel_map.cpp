// Maps the kernel's sections with their own protections: code cannot be written, data not executed.
#include "lab/nt/mm/kernel_map.hpp"

#include <bit>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/hal/shutdown.hpp"
#include "lab/nt/ldr/module.hpp"
#include "lab/nt/mm/frames.hpp"
#include "lab/nt/mm/page_tables.hpp"

namespace hvp::lab::mm {
namespace {

void map_range(LinearAddress linear, PhysicalAddress physical, std::uint64_t bytes,
               Protection protection) {
    for (std::uint64_t offset = 0; offset < bytes; offset += page_bytes) {
        if (!map(linear + offset, physical + offset, protection)) {
            hal::shut_down();  // no output is possible yet: the tool sees a run without a Summary
        }
    }
}

void map_kernel(const BootBlock& boot) {
    auto& module = ldr::kernel_module();
    module = {.file = "ntoskrnl.exe", .base = boot.kernel_virtual, .loaded = true};
    const pe::Bytes image{std::bit_cast<const std::byte*>(boot.kernel_virtual), boot.kernel_bytes};
    const auto headers = pe::parse(image, pe::Form::mapped);
    if (!headers) {
        hal::shut_down();
    }
    module.headers = *headers;
    const LinearAddress linear{boot.kernel_virtual};
    const PhysicalAddress physical{boot.kernel_physical};
    map_range(linear, physical, headers->header_bytes, read_only);
    for (std::size_t i = 0; i < headers->section_count; ++i) {
        const pe::Section section = headers->section(i);
        map_range(linear + section.virtual_address, physical + section.virtual_address,
                  section.memory_bytes(),
                  {.writable = section.writable(), .executable = section.executable()});
    }
}

}  // namespace

void enter_kernel_map(const BootBlock& boot, bool execute_disable_works) {
    const PhysicalAddress root = create_address_space(execute_disable_works);
    map_kernel(boot);
    if (boot.driver_physical != 0) {
        map_range(driver_file, PhysicalAddress{boot.driver_physical}, boot.driver_bytes, read_only);
    }
    arch::write_cr3(root.raw());
}

}  // namespace hvp::lab::mm
