// The loader: base, layout, relocations, imports, cookie, protections.
#include "lab/nt/ldr/loader.hpp"

#include <algorithm>
#include <bit>

#include "lab/nt/dbg/event.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ldr/imports.hpp"
#include "lab/nt/ldr/module.hpp"
#include "lab/nt/ldr/pe_tables.hpp"
#include "lab/nt/mm/page_tables.hpp"
#include "lab/nt/rtl/scrambled.hpp"

namespace hvp::lab::ldr {
namespace {

/// Any multiple of 64 KiB in the 4 GiB that drivers get, but not the last: an image is smaller.
std::uint64_t choose_base(const LoadRequest& request) {
    const std::uint64_t slot = rtl::scrambled(request.seed + request.load) % 0xF000;
    return mm::driver_images.raw() + slot * 0x1'0000;
}

bool refuse(const pe::Refusal& why) {
    dbg::Event{"ImageRefused"}.text("why", why.view());
    return false;
}

/// A random value; its upper 16 bits are 0, so that a string cannot run over it.
void set_security_cookie(pe::WritableBytes memory, const Module& module,
                         const LoadRequest& request) {
    if (const auto at = pe::find_security_cookie(module.headers, memory, module.base)) {
        const std::uint64_t cookie = rtl::scrambled(request.seed * 31 + request.load) >> 16;
        (void)pe::write(memory, *at, cookie);
    }
}

void check_writable_and_executable(const pe::Section& section, std::uint64_t base) {
    if (section.writable() && section.executable()) {
        rtl::Sentence detail{"section "};
        detail.put(section.name()).put(" is writable and executable at once");
        examiner::report_finding("WritableExecutableSection", detail,
                                 examiner::writable_executable_section,
                                 base + section.virtual_address);
    }
}

void protect_sections(const Module& module) {
    mm::protect(mm::LinearAddress{module.base}, mm::pages_for(module.headers.image_bytes),
                mm::read_only);
    for (std::size_t i = 0; i < module.headers.section_count; ++i) {
        const pe::Section section = module.headers.section(i);
        check_writable_and_executable(section, module.base);
        mm::protect(mm::LinearAddress{module.base + section.virtual_address},
                    mm::pages_for(section.memory_bytes()),
                    {.writable = section.writable(), .executable = section.executable()});
    }
}

/// Everything that happens inside the mapped image.
bool prepare(Module& module, const LoadRequest& request, const pe::Headers& headers) {
    const pe::WritableBytes memory{std::bit_cast<std::byte*>(module.base), headers.image_bytes};
    pe::lay_out(headers, memory);
    if (const auto good = pe::relocate(headers, memory, module.base); !good) {
        return refuse(good.error());
    }
    module.headers = headers;
    module.headers.file = memory;  // the section table is read from the image from now on
    if (!resolve_imports(module.headers, memory)) {
        return false;
    }
    set_security_cookie(memory, module, request);
    return true;
}

}  // namespace

bool load_driver(const LoadRequest& request) {
    const auto headers = pe::parse(request.file);
    if (!headers) {
        return refuse(headers.error());
    }
    Module& module = driver_module();
    module = {.file = request.name, .base = choose_base(request)};
    const std::uint64_t pages = mm::pages_for(headers->image_bytes);
    if (!mm::map_fresh(mm::LinearAddress{module.base}, pages, mm::read_write)) {
        return refuse(pe::Refusal{"not enough memory for the image: give the machine more"});
    }
    if (!prepare(module, request, *headers)) {
        mm::unmap_and_free(mm::LinearAddress{module.base}, pages);
        module = {};
        return false;
    }
    dbg::Event{"ImageLoaded"}
        .text("file", module.file)
        .hex("base", module.base)
        .number("bytes", module.headers.image_bytes)
        .hex("entry", module.base + module.headers.entry_point)
        .number("load", request.load);
    protect_sections(module);
    module.loaded = true;
    return true;
}

void discard_initialisation() {
    const Module& module = driver_module();
    for (std::size_t i = 0; i < module.headers.section_count; ++i) {
        const pe::Section section = module.headers.section(i);
        if (section.discardable()) {
            mm::unmap_and_free(mm::LinearAddress{module.base + section.virtual_address},
                               mm::pages_for(section.memory_bytes()));
        }
    }
}

void unload_driver() {
    Module& module = driver_module();
    module.loaded = false;
    mm::unmap_and_free(mm::LinearAddress{module.base}, mm::pages_for(module.headers.image_bytes));
}

}  // namespace hvp::lab::ldr
