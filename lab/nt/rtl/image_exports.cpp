// RtlPcToFileHeader, RtlImageNtHeader: from an address to the image that contains it.
#include <bit>
#include <cstdint>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ldr/module.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::rtl {

/// [Windows: RtlPcToFileHeader] The kernel or the driver; null: the address lies in neither.
NT_EXPORT std::uint64_t RtlPcToFileHeader(std::uint64_t address, std::uint64_t* base) {
    examiner::check_stack("RtlPcToFileHeader", examiner::caller(__builtin_return_address(0)));
    const ldr::Module* const module = ldr::module_at(address);
    *base = module != nullptr ? module->base : 0;
    return *base;
}

/// Undocumented. The PE header of an image that lies in memory; null if there is none.
NT_EXPORT std::uint64_t RtlImageNtHeader(std::uint64_t base) {
    examiner::check_stack("RtlImageNtHeader", examiner::caller(__builtin_return_address(0)));
    const ldr::Module* const module = ldr::module_at(base);
    if (module == nullptr || module->base != base) {
        return 0;
    }
    constexpr std::uint64_t new_header_offset = 0x3C;
    return base + pe::read<std::uint32_t>(module->memory(), new_header_offset).value_or(0);
}

}  // namespace hvp::lab::rtl
