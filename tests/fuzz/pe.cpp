// Any bytes as a driver's file: the loader either refuses them or stays inside them.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lab/nt/ldr/pe.hpp"
#include "lab/nt/ldr/pe_tables.hpp"
#include "lab/nt/rtl/unwind.hpp"
#include "tests/fuzz/require.hpp"

namespace hvp::fuzz {
namespace {

namespace pe = lab::pe;

constexpr std::uint64_t base = 0xFFFF'F801'2345'0000;
constexpr std::uint32_t largest = 1U << 20;  // more takes memory and time, and finds nothing new

std::optional<std::uint64_t> any_stack(std::uint64_t address) {
    return address % 8 == 0 ? std::optional{address ^ 0x1234'5678} : std::nullopt;
}

void walk_imports(const pe::Headers& headers, pe::Bytes memory) {
    pe::ImportReader reader{headers, memory};
    while (reader.next()) {
        // The loader writes there.
        require(pe::read<std::uint64_t>(memory, reader.current().slot).has_value());
        static_cast<void>(pe::find_export(headers, memory, reader.current().name));
    }
}

void walk_functions(const pe::Headers& headers, pe::Bytes memory) {
    for (std::uint32_t place = 0; place < headers.image_bytes; place += 97) {
        const auto function = pe::find_function(headers, memory, place);
        require(!function || (function->begin <= place && place < function->end));
        lab::rtl::Registers registers{};
        registers.rip = base + place;
        registers.rsp() = 0x1000;
        static_cast<void>(lab::rtl::unwind({&headers, memory, base}, registers, any_stack));
    }
}

}  // namespace
}  // namespace hvp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hvp::fuzz;
    const pe::Bytes file = std::as_bytes(std::span{data, size});
    static_cast<void>(pe::parse(file, pe::Form::mapped));
    const auto headers = pe::parse(file);
    if (!headers) {
        require(!headers.error().view().empty());
        return 0;
    }
    require(headers->image_bytes % 4096 == 0);
    if (headers->image_bytes > largest) {
        return 0;
    }
    std::vector<std::byte> memory(headers->image_bytes);
    pe::lay_out(*headers, memory);
    static_cast<void>(pe::relocate(*headers, memory, base));
    static_cast<void>(pe::find_export(*headers, memory, "DriverEntry"));
    if (const auto cookie = pe::find_security_cookie(*headers, memory, base)) {
        require(pe::read<std::uint64_t>(memory, *cookie).has_value());
    }
    walk_imports(*headers, memory);
    walk_functions(*headers, memory);
    return 0;
}
