// Queries about linear addresses.
#include <cstdint>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/mm/page_tables.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::mm {

/// [Windows: MmHighestUserAddress] 64 KiB below the end of the lower half, where nothing is mapped.
NT_EXPORT constinit std::uint64_t MmHighestUserAddress{0x0000'7FFF'FFFE'FFFF};

/// [Windows: MmSystemRangeStart] The upper half.
NT_EXPORT constinit std::uint64_t MmSystemRangeStart{0xFFFF'8000'0000'0000};

/// [Windows: MmGetPhysicalAddress] Any IRQL; 0 for an address that is not mapped.
NT_EXPORT std::uint64_t MmGetPhysicalAddress(std::uint64_t address) {
    examiner::check_stack("MmGetPhysicalAddress", examiner::caller(__builtin_return_address(0)));
    const auto physical = translate(LinearAddress{address});
    return physical ? physical->raw() : 0;
}

/// [Windows: MmIsAddressValid] At most DISPATCH_LEVEL.
NT_EXPORT rtl::Boolean MmIsAddressValid(std::uint64_t address) {
    examiner::check_irql_at_most(ke::Irql::dispatch,
                                 {"MmIsAddressValid", examiner::memory_call_irql,
                                  examiner::caller(__builtin_return_address(0))});
    return translate(LinearAddress{address}).has_value() ? 1 : 0;
}

}  // namespace hvp::lab::mm
