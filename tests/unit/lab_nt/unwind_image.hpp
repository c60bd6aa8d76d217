// One of our images, as the kernel's loader lays it out, and the unwind data in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "lab/nt/hosted/mapped_image.hpp"
#include "lab/nt/rtl/scope_table.hpp"
#include "lab/nt/rtl/unwind.hpp"
#include "lab/nt/rtl/unwind_info.hpp"

namespace hvp::tests {

namespace pe = lab::pe;
namespace rtl = lab::rtl;

/// Where it lies.
inline constexpr std::uint64_t unwind_image_base = 0xFFFF'F801'0000'0000;

/// An image as the kernel's loader lays it out.
class UnwindImage {
public:
    UnwindImage(const std::string& folder, const std::string& name) : name_{name} {
        std::ifstream stream{folder + "/" + name, std::ios::binary};
        const std::vector<char> characters{std::istreambuf_iterator<char>{stream}, {}};
        const auto bytes = std::as_bytes(std::span{characters});
        file_.assign(bytes.begin(), bytes.end());
        headers_ = pe::parse(file_).value();
        memory_ = pe::layout(file_).value().bytes;
    }

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const pe::Headers& headers() const { return headers_; }
    [[nodiscard]] pe::Bytes memory() const { return memory_; }
    [[nodiscard]] pe::WritableBytes writable() { return memory_; }
    [[nodiscard]] rtl::ImageView view() const { return {&headers_, memory_, unwind_image_base}; }

    /// All functions that have unwind data; the parts of one function joined.
    [[nodiscard]] std::vector<pe::RuntimeFunction> functions() const {
        const auto place = headers_.directory(pe::DirectoryIndex::exceptions);
        std::vector<pe::RuntimeFunction> all;
        for (std::uint32_t at = 0; at < place.size; at += sizeof(pe::RuntimeFunction)) {
            const auto line = pe::read<pe::RuntimeFunction>(memory_, place.address + at).value();
            if (rtl::read_unwind_header(memory_, line.unwind_data).value().is_chained()) {
                all.back().end = line.end;
            } else {
                all.push_back(line);
            }
        }
        return all;
    }

    /// The address of the function's scope table (its __try blocks); 0: it has none.
    [[nodiscard]] std::uint32_t scope_table_of(const pe::RuntimeFunction& function) const {
        const auto header = rtl::read_unwind_header(memory_, function.unwind_data).value();
        const auto at = static_cast<std::uint32_t>(rtl::after_codes(header, function.unwind_data));
        return (header.flags & 3) != 0 && is_c_handler(pe::read<std::uint32_t>(memory_, at).value())
                   ? at + 4
                   : 0;
    }

    /// The lines of that table.
    [[nodiscard]] std::vector<rtl::Scope> scopes(const pe::RuntimeFunction& function) const {
        const std::uint32_t table = scope_table_of(function);
        std::vector<rtl::Scope> all(table != 0 ? pe::read<std::uint32_t>(memory_, table).value()
                                               : 0);
        for (std::size_t i = 0; i < all.size(); ++i) {
            all[i] = pe::read<rtl::Scope>(memory_, table + 4 + i * sizeof(rtl::Scope)).value();
        }
        return all;
    }

private:
    /// In a driver the handler is a jump through the table of imports.
    [[nodiscard]] bool is_c_handler(std::uint32_t address) const {
        if (pe::find_export(headers_, memory_, "__C_specific_handler") == address) {
            return true;
        }
        const auto slot = address + 6 + pe::read<std::uint32_t>(memory_, address + 2).value();
        pe::ImportReader imports{headers_, memory_};
        while (imports.next()) {
            if (imports.current().slot == slot) {
                return imports.current().name == "__C_specific_handler";
            }
        }
        return false;
    }

    std::string name_;
    std::vector<std::byte> file_;
    pe::Headers headers_;
    std::vector<std::byte> memory_;
};

}  // namespace hvp::tests
