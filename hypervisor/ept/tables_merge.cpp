// The 512 parts of a page become one large page again: the opposite of a split.
#include "hypervisor/ept/tables.hpp"

namespace hvp::ept {

std::expected<PendingInvalidation, EditError> Tables::merge(arch::GuestPhysicalAddress guest,
                                                            Level level) {
    if (level == Level::page_table || largest_allowed(level) != level) {
        return std::unexpected{EditError::would_misconfigure};
    }
    Entry* place = &(*root_)[index_at(Level::pml4, guest.raw())];
    for (Level at = Level::pml4; at != level; at = below(at)) {
        if (!references_own(at, *place)) {
            return std::unexpected{EditError::not_one_page};
        }
        place = &pool_->at(place->address())[index_at(below(at), guest.raw())];
    }
    if (!references_own(level, *place)) {
        return std::unexpected{EditError::not_one_page};
    }
    const Table& parts = pool_->at(place->address());
    const Entry first = parts[0].without_flags();
    if (!first.maps_page(below(level)) || first.address().raw() % bytes_of_entry(level) != 0) {
        return std::unexpected{EditError::not_one_page};
    }
    Entry page = first.whole();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i].without_flags() != first.whole().part(level, i)) {
            return std::unexpected{EditError::not_one_page};
        }
        page = page.with_flags_of(parts[i]);
    }
    replace(level, *place, page);
    return finish_edit();
}

}  // namespace hvp::ept
