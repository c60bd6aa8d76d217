// Imports by name from ntoskrnl.exe and hal.dll, which are both this kernel: its export directory
// decides what exists.
#include "lab/nt/ldr/imports.hpp"

#include <algorithm>
#include <optional>

#include "lab/nt/dbg/event.hpp"
#include "lab/nt/ldr/module.hpp"
#include "lab/nt/ldr/pe_tables.hpp"

namespace hvp::lab::ldr {
namespace {

char lower(char character) {
    return character >= 'A' && character <= 'Z' ? static_cast<char>(character + 32) : character;
}

/// Module names are compared without regard to case, names of functions exactly.
bool is_kernel(std::string_view module) {
    const auto same = [&](std::string_view name) {
        return std::ranges::equal(module, name, {}, lower);
    };
    return same("ntoskrnl.exe") || same("hal.dll");
}

std::optional<std::uint64_t> find(const pe::Import& import) {
    const Module& kernel = kernel_module();
    if (!is_kernel(import.module)) {
        return std::nullopt;
    }
    const auto address = pe::find_export(kernel.headers, kernel.memory(), import.name);
    return address ? std::optional{kernel.base + *address} : std::nullopt;
}

bool refuse(const pe::Refusal& why) {
    dbg::Event{"ImageRefused"}.text("why", why.view());
    return false;
}

bool refuse_ordinal(const pe::Import& import) {
    pe::Refusal why{"imports number "};
    why.decimal(import.ordinal).put(" of ").put(import.module);
    why.put(" by ordinal; Windows' numbers change, so the lab links by name only");
    return refuse(why);
}

/// Reports all missing imports in one event.
bool report_missing(const pe::Headers& headers, pe::Bytes memory) {
    dbg::Event event{"ImportsMissing"};
    event.line().begin_array("names");
    pe::ImportReader reader{headers, memory};
    while (reader.next()) {
        if (!find(reader.current())) {
            rtl::Text<600> name{reader.current().module};
            event.line().element(name.put("!").put(reader.current().name).view());
        }
    }
    event.line().end_array();
    return false;
}

}  // namespace

bool resolve_imports(const pe::Headers& headers, pe::WritableBytes memory) {
    bool missing = false;
    pe::ImportReader reader{headers, memory};
    while (reader.next()) {
        if (reader.current().name.empty()) {
            return refuse_ordinal(reader.current());
        }
        missing |= !find(reader.current()).has_value();
    }
    if (const auto& why = reader.refusal()) {
        return refuse(*why);
    }
    if (missing) {
        return report_missing(headers, memory);
    }
    // Slots are written only now: in an image with one table for names and slots this overwrites
    // the names.
    pe::ImportReader again{headers, memory};
    while (again.next()) {
        const std::uint64_t address = find(again.current()).value_or(0);
        (void)pe::write(memory, again.current().slot, address);
    }
    return true;
}

}  // namespace hvp::lab::ldr
