// With INVPCID where the processor has it, as Windows does.
#include "lab/nt/mm/tlb.hpp"

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/ke/processor.hpp"

namespace hvp::lab::mm {

void invalidate(LinearAddress first, std::uint64_t pages) {
    const bool has_user_context = ke::features().pcid && ke::features().invpcid;
    for (std::uint64_t i = 0; i < pages; ++i) {
        const LinearAddress page = first + i * page_bytes;
        // INVLPG drops global translations, and of the others those with the current PCID.
        arch::invlpg(page);
        if (has_user_context) {
            arch::invpcid(arch::InvpcidType::individual_address, user_pcid, page);
        }
    }
}

/// [SDM 3A 4.10.4.1 "Operations that Invalidate TLBs and Paging-Structure Caches"]
void flush_tlb() {
    if (ke::features().invpcid) {
        return arch::invpcid(arch::InvpcidType::all_contexts, 0, LinearAddress{0});
    }
    // Any change of CR4.PGE flushes the TLB, including global pages.
    const auto cr4 = arch::read_cr4();
    constexpr auto global = static_cast<std::uint64_t>(arch::Cr4::page_global_enable);
    arch::write_cr4(arch::Flags<arch::Cr4>{cr4.raw() ^ global});
    arch::write_cr4(cr4);
}

}  // namespace hvp::lab::mm
