// MmCopyMemory: reads memory that may not be mapped, or may not exist.
#include <algorithm>
#include <bit>
#include <optional>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/mm/frames.hpp"
#include "lab/nt/mm/mapping.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::mm {
namespace {

constexpr rtl::NtStatus status_invalid_address = static_cast<rtl::NtStatus>(0xC000'0141);

constexpr std::uint32_t from_physical = 1;
constexpr std::uint32_t from_virtual = 2;

/// Only RAM can be copied: reading a device's registers may change them.
bool is_ram(std::uint64_t physical) {
    return physical < end_of_memory().raw() &&
           (physical < low_memory_end || physical >= high_memory_start);
}

bool copy_page(std::byte* to, std::uint64_t physical, std::uint64_t bytes, std::uint64_t caller) {
    if (!is_ram(physical)) {
        return false;
    }
    Block* const window = map_frames({.kind = BlockKind::io_mapping,
                                      .offset = physical % page_bytes,
                                      .bytes = bytes,
                                      .protection = read_only,
                                      .mapped_by = caller},
                                     [=](std::uint64_t) { return physical / page_bytes; });
    if (window == nullptr) {
        return false;
    }
    __builtin_memcpy(to, std::bit_cast<const void*>(window->address), bytes);
    end_mapping(*window, caller);
    return true;
}

}  // namespace

/// [Windows: MmCopyMemory] At most APC_LEVEL. The flags name exactly one kind of address.
/// Documented: the number of bytes that were read. Not documented: the status of a partial read.
NT_EXPORT rtl::NtStatus MmCopyMemory(std::byte* target, std::uint64_t source, std::uint64_t bytes,
                                     std::uint32_t flags, std::uint64_t* copied) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::apc, {"MmCopyMemory", examiner::api_irql, caller});
    *copied = 0;
    if (flags != from_physical && flags != from_virtual) {
        return rtl::status_invalid_parameter;
    }
    while (*copied < bytes) {
        const std::uint64_t from = source + *copied;
        const std::uint64_t part = std::min(bytes - *copied, page_bytes - from % page_bytes);
        const auto physical = flags == from_virtual ? translate(LinearAddress{from})
                                                    : std::optional{PhysicalAddress{from}};
        if (!physical || !copy_page(target + *copied, physical->raw(), part, caller)) {
            return status_invalid_address;
        }
        *copied += part;
    }
    return rtl::status_success;
}

}  // namespace hvp::lab::mm
