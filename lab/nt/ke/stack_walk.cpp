// Walks the stack by .pdata; where that fails, scans it for words that point into code.
#include "lab/nt/ke/stack_walk.hpp"

#include <bit>

#include "lab/nt/ldr/module.hpp"
#include "lab/nt/mm/page_tables.hpp"

namespace hvp::lab::ke {
namespace {

bool is_code(std::uint64_t address) {
    const auto* module = ldr::module_at(address);
    const auto entry = mm::entry_for(mm::LinearAddress{address});
    return module != nullptr && entry && entry->present && !entry->execute_disable &&
           !entry->writable;
}

/// Leaf functions have no unwind data, so their begin is unknown.
std::uint64_t start_of_function(std::uint64_t address) {
    const auto* module = ldr::module_at(address);
    if (module == nullptr) {
        return 0;
    }
    const auto function = pe::find_function(module->headers, module->memory(),
                                            static_cast<std::uint32_t>(address - module->base));
    return function ? module->base + function->begin : 0;
}

void add(StackTrace& trace, std::uint64_t address) {
    if (trace.count < trace.addresses.size()) {
        // A return address may lie after the function's last instruction: look up the call before
        // it.
        const std::uint64_t inside = trace.count == 0 ? address : address - 1;
        trace.functions[trace.count] = start_of_function(inside);
        trace.addresses[trace.count++] = address;
    }
}

void scan(StackTrace& trace, std::uint64_t rsp) {
    trace.by_scan = true;
    for (rsp &= ~7ULL; trace.count < trace.addresses.size(); rsp += 8) {
        const auto word = read_stack(rsp);
        if (!word) {
            return;
        }
        if (is_code(*word)) {
            add(trace, *word);
        }
    }
}

}  // namespace

std::optional<std::uint64_t> read_stack(std::uint64_t address) {
    const mm::LinearAddress at{address};
    if (address % 8 != 0 || !mm::is_system(at) || !mm::translate(at)) {
        return std::nullopt;
    }
    return *std::bit_cast<const std::uint64_t*>(address);
}

bool unwind_frame(rtl::Registers& registers) {
    const auto* module = ldr::module_at(registers.rip);
    return module != nullptr && rtl::unwind(module->view(), registers, read_stack);
}

StackTrace walk_stack(rtl::Registers registers) {
    StackTrace trace;
    add(trace, registers.rip);
    while (trace.count < trace.addresses.size()) {
        const std::uint64_t rsp = registers.rsp();
        if (!unwind_frame(registers)) {
            scan(trace, rsp);
            return trace;
        }
        if (registers.rip == 0) {
            return trace;
        }
        if (!is_code(registers.rip)) {
            scan(trace, rsp);
            return trace;
        }
        add(trace, registers.rip);
    }
    return trace;
}

}  // namespace hvp::lab::ke
